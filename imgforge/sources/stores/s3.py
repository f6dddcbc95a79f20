"""Originals in S3: `s3://bucket/key?version`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zope.interface import implementer

from imgforge.errors import SourceRefused
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.sources.climbing_path import climbs_out
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import S3Settings
from imgforge.sources.stores.conditional_requests import understood_headers
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.credentials_threads import keeper_on_threads
from imgforge.sources.stores.object_url import ObjectName, object_name
from imgforge.sources.stores.s3_addressing import S3Addressing, addressing_mistakes
from imgforge.sources.stores.s3_botocore import credentials_loader, profile_region, require_botocore
from imgforge.sources.stores.s3_refusals import REJECTED_TOKENS, s3_error
from imgforge.sources.stores.s3_requests import S3Requests
from imgforge.sources.stores.s3_signature import Credentials
from imgforge.sources.stores.setting_mistakes import StoreMistake
from imgforge.sources.stores.store_source import StoreSource

__all__ = ["S3Factory", "S3Store", "s3_mistakes"]


@implementer(IOriginKind)
class S3Store:
    """S3 as a kind of origin. URLs are s3:// URLs; *now* gives the seconds since the epoch."""

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
        self._requests = S3Requests(addressing, credentials, now)

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
        query = [("versionId", name.version)] if name.version else []
        return await self._requests.signed(name.bucket, name.key, query, understood_headers(headers, last_bytes=True))

    async def learn_from(self, url: str, refusal: Refusal) -> bool:
        """See `IOriginKind`."""
        return await self._requests.learn_from(self._name(url).bucket, refusal)

    def rejects_credentials(self, refusal: Refusal) -> bool:
        """See `IOriginKind`; a token that has expired is refused with the status 400."""
        return refusal.status == 401 or s3_error(refusal).code in REJECTED_TOKENS

    def explain(self, refusal: Refusal) -> str:
        """See `IOriginKind`."""
        return s3_error(refusal).explain(refusal.status)

    def _name(self, url: str) -> ObjectName:
        return object_name(url, self._separator)


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
