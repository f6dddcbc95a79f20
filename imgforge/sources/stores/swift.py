"""`swift://container/object`: originals in OpenStack Swift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from zope.interface import implementer

from imgforge.errors import SourceNotFound, SourceRefused
from imgforge.interfaces import IServerReactor, ISourceFactory
from imgforge.sources.climbing_path import climbs_out
from imgforge.sources.http import IOriginKind, OriginRequest, Refusal
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import SwiftSettings
from imgforge.sources.stores.credentials_keeper import CredentialsKeeper
from imgforge.sources.stores.object_url import object_name
from imgforge.sources.stores.setting_mistakes import endpoint_url
from imgforge.sources.stores.store_source import StoreSource
from imgforge.sources.stores.swift_auth import SwiftToken
from imgforge.sources.stores.swift_login import swift_tokens

__all__ = ["SwiftFactory", "SwiftOrigins", "check_swift"]

_DOTS = frozenset({".", ".."})
_LONGEST_SHOWN = 80  # characters of a header of Swift in a log line


@implementer(IOriginKind)
class SwiftOrigins:
    """The containers of one account. URLs are `swift://container/object`, without a query: Swift has no versions."""

    follows_redirects = False
    endpoints: tuple[str, ...] = ()  # the store's URL comes with the token

    def __init__(self, settings: SourceSettings, swift: SwiftSettings, tokens: CredentialsKeeper[SwiftToken]) -> None:
        self.retries = settings.store_retries
        self._separator = settings.query_separator
        self._containers = swift.buckets
        self._tokens = tokens

    def checked(self, url: str) -> str:
        """See `IOriginKind`."""
        name = object_name(url, self._separator)
        self._containers.check(name.bucket)
        if name.bucket in _DOTS:
            raise SourceNotFound("the source's URL has no valid container")
        if climbs_out(name.key):
            raise SourceRefused("the source's path leads out of its container")
        return f"swift://{name.bucket}/{name.key}"

    def origin_of(self, url: str) -> str:
        """The container."""
        return "/".join(url.split("/", 3)[:3])

    async def request_for(self, url: str, headers: Mapping[str, str]) -> OriginRequest:
        """See `IOriginKind`."""
        token = await self._tokens.get()
        path = quote(url.removeprefix("swift://"), safe="/")
        return OriginRequest(f"{token.storage_url}/{path}", {**headers, "x-auth-token": token.value})

    async def learn_from(self, url: str, refusal: Refusal) -> bool:  # noqa: ARG002
        """Whether there is another token: the store says 401 for one that expired or was revoked."""
        if refusal.status != 401:
            return False
        return await self._tokens.replace(SwiftToken(refusal.request.headers["x-auth-token"], ""))

    def rejects_credentials(self, refusal: Refusal) -> bool:
        """See `IOriginKind`."""
        return refusal.status == 401

    def explain(self, refusal: Refusal) -> str:
        """See `IOriginKind`."""
        if refusal.status == 404:
            return ""
        causes = {
            401: "the store refuses the token, though it is new: does IMGFORGE_SWIFT_AUTH_URL belong to this store?",
            403: "IMGFORGE_SWIFT_USERNAME may not read the container: give it a read ACL (swift post -r) or a role",
        }
        cause = causes.get(refusal.status, "")
        transaction = refusal.headers.get("x-trans-id", "")[:_LONGEST_SHOWN]
        return "; ".join(filter(None, (cause, transaction and f"transaction {transaction}")))


def check_swift(settings: SourceSettings) -> None:
    """`StoreMistake` where *settings* switch Swift on, but cannot be used."""
    if settings.swift is not None:
        endpoint_url("IMGFORGE_SWIFT_AUTH_URL", settings.swift.auth_url)


@implementer(ISourceFactory)
class SwiftFactory:
    """Makes the source of swift:// URLs."""

    schemes = ("swift",)

    def make(self, reactor: IServerReactor, settings: Any) -> StoreSource | None:
        """See `ISourceFactory`; `StoreMistake` where the settings cannot be used."""
        check_swift(settings)
        swift = settings.swift
        if swift is None:
            return None
        tokens = swift_tokens(reactor, settings, swift)
        reactor.callWhenRunning(tokens.start)
        return StoreSource(reactor, settings, SwiftOrigins(settings, swift, tokens), tokens)
