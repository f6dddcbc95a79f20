"""Originals in S3: `s3://bucket/key?version`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from imgforge.errors import SourceRefused
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.recent_dict import RecentDict
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import S3Settings
from imgforge.sources.stores.conditional_requests import understood_headers
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.object_url import ObjectName, climbs_out, object_name
from imgforge.sources.stores.s3_addressing import S3Addressing, addressing_mistakes
from imgforge.sources.stores.s3_botocore import credentials_loader, profile_region, require_botocore
from imgforge.sources.stores.s3_refusals import REJECTED_KEYS, REJECTED_TOKENS, SKEWED, S3Error, s3_error
from imgforge.sources.stores.s3_signature import (
    Credentials,
    escaped_key,
    escaped_query,
    scope_of,
    signed_headers,
    signer_of,
    time_of,
)
from imgforge.sources.stores.setting_mistakes import StoreMistake
from imgforge.sources.stores.store_clock import StoreClock
from imgforge.sources.stores.store_source import StoreSource

__all__ = ["S3Factory", "S3Store", "s3_mistakes"]

_MOST_REGIONS = 1000  # buckets whose regions are remembered; beyond, the one that was learnt longest ago is forgotten


@implementer(IOriginKind)
class S3Store:
    """S3 as a kind of origin. URLs are s3:// URLs; *now* gives the seconds since the epoch."""

    log = Logger()
    follows_redirects = False

    def __init__(
        self,
        settings: SourceSettings,
        addressing: S3Addressing,
        credentials: CredentialsKeeper[Credentials],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.retries = settings.store_retries
        self._separator = settings.query_separator
        self._rules = (settings.s3 or S3Settings()).buckets
        self._addressing = addressing
        self._credentials = credentials
        self._clock = StoreClock("s3", now)
        self._regions: RecentDict[str, str] = RecentDict(
            _MOST_REGIONS
        )  # by buckets, where it is not the configured one

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The operator's endpoint, or the hosts of the buckets that are listed as allowed."""
        if self._addressing.endpoint:
            return (self._addressing.endpoint,)
        return tuple(dict.fromkeys(self._addressing.address(bucket).origin for bucket in self._rules.allowed))

    def checked(self, url: str) -> str:
        """*url*, whose bucket may be named, and whose key stays in it."""
        name = self._name(url)
        self._rules.check(name.bucket)
        if self._addressing.address(name.bucket).path and climbs_out(name.key):
            raise SourceRefused("the source's key leads out of its bucket")
        return url

    def origin_of(self, url: str) -> str:
        """The bucket: it is what S3 throttles."""
        return f"s3://{self._name(url).bucket}"

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """See `IOriginKind`."""
        name = self._name(url)
        credentials = await self._credentials.get()
        address = self._addressing.address(name.bucket, self._regions.get(name.bucket, ""))
        target = f"{address.path}/{escaped_key(name.key)}"
        if name.version:
            target += f"?{escaped_query([('versionId', name.version)])}"
        moment = datetime.fromtimestamp(self._clock.seconds(), UTC)
        signed = signed_headers(address.host, target, credentials, address.scope, moment)
        return OriginRequest(f"{address.origin}{target}", {**understood_headers(headers, last_bytes=True), **signed})

    async def learn_from(self, url: str, refusal: Refusal) -> bool:
        """See `IOriginKind`."""
        error = s3_error(refusal)
        if error.code in REJECTED_KEYS:
            return await self._credentials.replace(signer_of(refusal.request.headers))
        if error.code in SKEWED:
            return self._clock.correct(refusal, time_of(refusal.request.headers))
        return self._learn_region(self._name(url).bucket, refusal, error)

    def rejects_credentials(self, refusal: Refusal) -> bool:
        """See `IOriginKind`; a token that has expired is refused with the status 400."""
        return refusal.status == 401 or s3_error(refusal).code in REJECTED_TOKENS

    def explain(self, refusal: Refusal) -> str:
        """See `IOriginKind`."""
        return s3_error(refusal).explain(refusal.status)

    def _name(self, url: str) -> ObjectName:
        return object_name(url, self._separator)

    def _learn_region(self, bucket: str, refusal: Refusal, error: S3Error) -> bool:
        scope = scope_of(refusal.request.headers)
        if scope is None or error.region in {"", scope.region}:
            return False
        if not self._addressing.may_move(bucket, error.region):
            return False
        if self._regions.get(bucket) != error.region:
            self.log.info(
                "s3://{bucket} lies in {region}, not in {asked}: its images are asked for there",
                bucket=bucket,
                region=error.region,
                asked=scope.region,
            )
        self._regions[bucket] = error.region
        return True


@implementer(ISourceFactory)
class S3Factory:
    """Makes the source of s3:// URLs."""

    schemes = ("s3",)

    def make(self, reactor: IServerReactor, settings: Any) -> StoreSource | None:
        """See `ISourceFactory`; `StoreMistake` where the settings cannot be used."""
        s3 = settings.s3
        if s3 is None:
            return None
        for mistake in s3_mistakes(s3):
            raise StoreMistake(mistake)
        addressing = S3Addressing(s3, os.environ, profile_region())
        credentials = keeper_on_threads(reactor, "s3", credentials_loader(s3, addressing.region))
        credentials.start()
        return StoreSource(reactor, settings, S3Store(settings, addressing, credentials), credentials)


def s3_mistakes(settings: S3Settings) -> Iterator[str]:
    """A line for each reason why S3 cannot be used with *settings* and this environment."""
    try:
        require_botocore()
    except StoreMistake as mistake:
        yield str(mistake)
    yield from addressing_mistakes(settings, os.environ)
