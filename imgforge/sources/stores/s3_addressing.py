"""Where a bucket is: from the operator's settings and a bucket's name to host, path and the scope of signatures.

A name out of a URL is checked before it becomes part of a host, so that it can add a label to it and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from imgforge.errors import SourceNotFound
from imgforge.sources.store_settings import S3Settings
from imgforge.sources.stores.s3_access_points import AccessPoint, access_point
from imgforge.sources.stores.s3_signature import Scope, escaped_key
from imgforge.sources.stores.setting_mistakes import shown_url

__all__ = ["BucketAddress", "S3Addressing", "addressing_mistakes"]

_DEFAULT_REGION = "us-west-1"
_MOST_ADDRESSES = 1000  # of buckets, that are kept
_BUCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")  # those of Amazon's first years included
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_DOTTED = re.compile(r"(?=.{3,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
# Domains of Amazon's partitions, by the beginning of their regions' names.
_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where requests for a bucket go, and for what they are signed."""

    origin: str  # "https://host" or "http://host:port"
    path: str  # before the slash and the key: "" or "/bucket"
    scope: Scope

    @property
    def host(self) -> str:
        """What the Host header says."""
        return self.origin.partition("://")[2]


class S3Addressing:
    """Addresses buckets by *settings*, and by AWS' variables of the *environment* where those say nothing.

    *profile_region* is that of the shared configuration file. `ValueError` where `addressing_mistakes` has lines.
    """

    def __init__(self, settings: S3Settings, environment: Mapping[str, str], profile_region: str = "") -> None:
        self.region = settings.region or _region(environment)[1] or profile_region or _DEFAULT_REGION
        if self.region == "aws-global":
            self.region = "us-east-1"
        self._endpoint = _endpoint(_endpoint_text(settings, environment))
        self._path_style = settings.path_style
        self._variant = "-fips" if _is_true(environment, "AWS_USE_FIPS_ENDPOINT") else ""
        if _is_true(environment, "AWS_USE_DUALSTACK_ENDPOINT"):
            self._variant += ".dualstack"
        self._access_points = {name: access_point(arn) for name, arn in settings.access_points.items()}
        self._recent = lru_cache(maxsize=_MOST_ADDRESSES)(self._address)

    @property
    def endpoint(self) -> str:
        """The URL of the endpoint that the operator has set, or "" for Amazon's."""
        return f"{self._endpoint.scheme}://{self._endpoint.netloc}" if self._endpoint is not None else ""

    def address(self, bucket: str, region: str = "") -> BucketAddress:
        """Where *bucket*, as a URL names it, is; it lies in *region*, where that is known to be another.

        `SourceNotFound` for a name that no bucket can have.
        """
        return self._recent(bucket, region or self.region)

    def _address(self, bucket: str, region: str) -> BucketAddress:
        found = self._access_points.get(bucket, bucket)
        if isinstance(found, AccessPoint):
            return self._access_point(found)
        if not _BUCKET.fullmatch(found):
            raise SourceNotFound("the source's URL has no valid bucket")
        endpoint = self._endpoint
        if endpoint is None:
            origin, path, hosted = f"https://s3{self._variant}.{region}.{_domain(region)}", "", _LABEL.fullmatch(found)
        else:
            origin, path = f"{endpoint.scheme}://{endpoint.netloc}", endpoint.path
            names = _LABEL if endpoint.scheme == "https" else _DOTTED  # certificates cover one label
            hosted = None if self._path_style or _is_numeric(endpoint) else names.fullmatch(found)
        if hosted:
            return BucketAddress(origin.replace("://", f"://{found}.", 1), path, Scope(region))
        return BucketAddress(origin, f"{path}/{found}", Scope(region))

    def may_move(self, bucket: str, region: str) -> bool:
        """Whether *bucket* may turn out to lie in *region*: one with such a name, of the same partition."""
        if isinstance(self._access_points.get(bucket), AccessPoint) or not _REGION.fullmatch(region):
            return False
        return self._endpoint is not None or _domain(region) == _domain(self.region)

    def _access_point(self, point: AccessPoint) -> BucketAddress:
        scope = Scope(point.region, point.service)
        if self._endpoint is not None:
            return BucketAddress(
                f"{self._endpoint.scheme}://{point.labels}.{self._endpoint.netloc}", self._endpoint.path, scope
            )
        host = f"{point.labels}.{point.host}{self._variant}.{point.region}.{_domain(point.region)}"
        return BucketAddress(f"https://{host}", "", scope)


def addressing_mistakes(settings: S3Settings, environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each setting by which no bucket can be addressed."""
    endpoint = None
    text = _endpoint_text(settings, environment)
    try:
        endpoint = _endpoint(text)
    except ValueError:
        name = "IMGFORGE_S3_ENDPOINT" if settings.endpoint else "AWS_ENDPOINT_URL"
        yield f"{name}={shown_url(text)!r} must be the URL of an S3 store, such as http://minio:9000"
    variable, region = _region(environment)
    if not settings.region and region and not _REGION.fullmatch(region):
        yield f"{variable}={region!r} must be the name of a region, such as eu-west-1"
    for name, arn in settings.access_points.items():
        where = f"IMGFORGE_S3_ACCESS_POINTS: {name}={arn}"
        try:
            found = access_point(arn)
        except ValueError as error:
            yield f"{where}: {error}"
            continue
        if isinstance(found, str) and not _BUCKET.fullmatch(found):
            yield f"{where} is neither an ARN nor a bucket's name or alias"
        elif isinstance(found, AccessPoint) and endpoint is not None and _is_numeric(endpoint):
            yield f"{where} needs a store with a host name: {endpoint.netloc} is an address"


def _region(environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names a region, and the region; both "" where none does."""
    found = ((name, environment.get(name, "")) for name in ("AWS_REGION", "AWS_DEFAULT_REGION"))
    return next((each for each in found if each[1]), ("", ""))


def _endpoint_text(settings: S3Settings, environment: Mapping[str, str]) -> str:
    ignored = _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    common = "" if ignored else environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    return settings.endpoint or common


def _endpoint(text: str) -> SplitResult | None:
    """The endpoint at the URL *text*, its host in lower case and without a port that needs no saying."""
    if not text:
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    if scheme not in _DEFAULT_PORTS or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("no URL of a store")
    if ":" in host:
        host = f"[{ip_address(host).compressed}]"
    elif not _HOST.fullmatch(host) or host in _DEFAULT_PORTS:  # "http:/host" has a slash too few
        raise ValueError("no host")
    netloc = host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
    return SplitResult(scheme, netloc, escaped_key(parts.path.rstrip("/")), "", "")


def _is_numeric(endpoint: SplitResult) -> bool:
    try:
        ip_address(endpoint.hostname or "")
    except ValueError:
        return False
    return True


def _domain(region: str) -> str:
    return next((domain for start, domain in _DOMAINS.items() if region.startswith(start)), "amazonaws.com")


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() == "true"
