"""Authentication with OpenStack Swift: asks the service for a token, for all requests of this process."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imgforge.errors import ImgforgeError, OriginTimeout
from imgforge.interfaces import IServerReactor
from imgforge.sources.http import OriginRequest, ServiceClient, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import SwiftSettings
from imgforge.sources.stores.credentials_keeper import (
    CredentialsError,
    CredentialsKeeper,
    CredentialsLate,
    CredentialsRefused,
    Loaded,
)
from imgforge.sources.stores.swift_auth import SwiftToken, auth_version, read_token, token_requests

__all__ = ["swift_tokens"]

_REFUSED = frozenset({401, 403})
_OTHER_FORM = frozenset({400, 401})  # the service may know the other form of the credentials
_CHECKED = {1: "", 2: " and IMGFORGE_SWIFT_TENANT", 3: ", IMGFORGE_SWIFT_TENANT and IMGFORGE_SWIFT_DOMAIN"}


def swift_tokens(
    reactor: IServerReactor, settings: SourceSettings, swift: SwiftSettings, for_cache: bool = False
) -> CredentialsKeeper[SwiftToken]:
    """A keeper of the account's token."""
    login = _SwiftLogin(reactor, settings, swift)
    return CredentialsKeeper(reactor, "swift", login.load, login.close, for_cache)


class _SwiftLogin:
    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: SourceSettings, swift: SwiftSettings) -> None:
        self._clock = reactor
        self._client = ServiceClient(reactor, settings)
        self._version = auth_version(swift)
        self._requests = token_requests(swift)
        self._url = self._requests[0].url

    def close(self) -> Deferred[None]:
        """Close the connections to the service."""
        return self._client.close()

    async def load(self) -> Loaded[SwiftToken]:
        """A new token."""
        response = await self._ask(self._requests[0])
        if response.status in _OTHER_FORM and len(self._requests) > 1:
            first, *others = self._requests
            self._requests = (*others, first)  # the form that works stays the first
            response = await self._ask(self._requests[0])
        if response.status in _REFUSED:
            raise CredentialsRefused(
                f"{self._url} refuses the credentials ({response.status}): check IMGFORGE_SWIFT_USERNAME, "
                f"IMGFORGE_SWIFT_API_KEY{_CHECKED[self._version]}"
            )
        if not 200 <= response.status < 300:
            raise CredentialsError(f"{self._url} answered {response.status}")
        try:
            loaded = read_token(self._version, response, self._clock.seconds())
        except CredentialsError as error:
            raise CredentialsError(f"{self._url}: {error}") from None
        self.log.info(
            "swift: authenticated at {url}; the objects are at {store}",
            url=self._url,
            store=loaded.credentials.storage_url,
        )
        return loaded

    async def _ask(self, request: OriginRequest) -> ServiceResponse:
        try:
            return await self._client.ask(request)
        except OriginTimeout as error:
            raise CredentialsLate(f"{self._url}: {error.logged}") from None
        except ImgforgeError as error:
            raise CredentialsError(f"{self._url} failed: {error.logged}") from None
