"""Signatures of requests to S3: AWS Signature Version 4, in the Authorization header.

S3 differs from AWS' other services: the path is escaped once and never normalised, so that it can name any key.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, reduce
from hashlib import sha256
from urllib.parse import quote

__all__ = [
    "EMPTY_PAYLOAD",
    "Credentials",
    "Scope",
    "authorization",
    "escaped_key",
    "escaped_query",
    "payload_of",
    "scope_of",
    "signed_headers",
    "signer_of",
    "time_of",
]

_ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_PAYLOAD = sha256(b"").hexdigest()  # the hash of no body
_SCOPE = re.compile(r"Credential=[^,/ ]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_TIME = "%Y%m%dT%H%M%SZ"
_BLANKS = re.compile(r" +")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; temporary ones have a session token. The secret key tells no two apart."""

    access_key: str
    secret_key: str = field(repr=False, compare=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature is valid."""

    region: str
    service: str = "s3"


def escaped_key(key: str) -> str:
    """*key* as it stands in a path: all bytes of its UTF-8 but letters, digits and `-._~/` are escaped."""
    return quote(key, safe="/-._~")


def escaped_query(parameters: Iterable[tuple[str, str]]) -> str:
    """The query with *parameters*, in the order that a signature asks for."""
    escaped = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in parameters)
    return "&".join(f"{name}={value}" for name, value in escaped)


def authorization(
    request: str, headers: Mapping[str, str], payload: str, credentials: Credentials, scope: Scope
) -> str:
    """The Authorization header of *request*, such as "GET /bucket/key?versionId=1", whose body has the hash *payload*.

    All *headers* are signed; `host` and `x-amz-date` must be among them, and names are in lower case.
    """
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{_BLANKS.sub(' ', headers[name].strip())}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"
    moment = headers["x-amz-date"]
    parts = (moment[:8], scope.region, scope.service, "aws4_request")
    key = _signing_key(credentials.secret_key, parts)
    hashed = sha256(canonical.encode()).hexdigest()
    signature = _mac(key, "\n".join((_ALGORITHM, moment, "/".join(parts), hashed))).hex()
    credential = "/".join((credentials.access_key, *parts))
    return f"{_ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"


def signed_headers(
    host: str,
    target: str,
    credentials: Credentials,
    scope: Scope,
    moment: datetime,
    *,
    method: str = "GET",
    payload: str = EMPTY_PAYLOAD,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers that make *method* *target* at *host*, with a body of hash *payload*, a signed request. *moment* is
    in UTC.

    Of the request's other headers, *headers* are signed as well. Conditions and ranges are left unsigned, as S3 allows:
    a proxy in front of a store may write them otherwise.
    """
    own = {"x-amz-date": moment.strftime(_TIME), "x-amz-content-sha256": payload}
    if credentials.token:
        own["x-amz-security-token"] = credentials.token
    signed = {"host": host, **(headers or {}), **own}
    return {**own, "authorization": authorization(f"{method} {target}", signed, payload, credentials, scope)}


def payload_of(body: bytes) -> str:
    """The hash of *body* that a signature contains."""
    return sha256(body).hexdigest()


def signer_of(headers: Mapping[str, str]) -> Credentials:
    """The credentials that made the signature among *headers*, without the secret key."""
    access_key = headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
    return Credentials(access_key, "", headers.get("x-amz-security-token", ""))


def time_of(headers: Mapping[str, str]) -> float:
    """The time of the signature among *headers*, in seconds since the epoch."""
    return datetime.strptime(headers["x-amz-date"], _TIME).replace(tzinfo=UTC).timestamp()


def scope_of(headers: Mapping[str, str]) -> Scope | None:
    """The scope of the signature among *headers*."""
    match = _SCOPE.search(headers.get("authorization", ""))
    return Scope(match[1], match[2]) if match else None


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, parts: tuple[str, ...]) -> bytes:
    """The key of a day's requests to a region."""
    return reduce(_mac, parts, f"AWS4{secret_key}".encode())


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
