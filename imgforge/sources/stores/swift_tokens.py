"""The token of Swift: one for all requests, renewed before it expires or once the store refuses it."""

from __future__ import annotations

import math
from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.concurrency import Coalescer
from imgforge.errors import ImgforgeError, OriginFailed, OriginTimeout
from imgforge.interfaces import IServerReactor
from imgforge.sources.http import OriginRequest, ServiceClient, ServiceResponse
from imgforge.sources.settings import SourceSettings
from imgforge.sources.store_settings import SwiftSettings
from imgforge.sources.stores.swift_auth import SwiftToken, auth_version, read_token, token_requests

__all__ = ["SwiftTokens"]

_EARLY = 60.0  # seconds before the end of a token, from which on it is renewed; at most a tenth of its life
_PATIENCE = 10.0  # seconds between two attempts to authenticate of which the first failed for good
_LEAST_AGE = 1.0  # seconds; a token that the store refuses sooner is not replaced, for the next would fare no better
_REFUSED = frozenset({401, 403})
_OTHER_FORM = frozenset({400, 401})  # the service may know the other form of the credentials


class SwiftTokens:
    """Authenticates with Swift, one request at a time, whoever waits for it."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: SourceSettings, swift: SwiftSettings) -> None:
        self._clock = reactor
        self._client = ServiceClient(reactor, settings)
        self._version = auth_version(swift)
        self._requests = token_requests(swift)
        self._url = self._requests[0].url
        self._renewals: Coalescer[None, SwiftToken] = Coalescer()
        self._token: SwiftToken | None = None
        self._made_at = 0.0
        self._refusal: ImgforgeError | None = None  # of the credentials, which holds until `_asks_at`
        self._asks_at = -math.inf

    async def current(self) -> SwiftToken:
        """A token that has not expired; `OriginFailed` or `OriginTimeout` where there is none."""
        token = self._token
        if token is None:
            return await self._renew()
        age = self._clock.seconds() - self._made_at
        if age >= token.lifetime:
            return await self._renew()
        if age >= token.lifetime - min(_EARLY, token.lifetime / 10) and not len(self._renewals):
            self._renew_early()
        return token

    def refused(self, value: str) -> bool:
        """The store refused the token *value*; whether there is, or will be, another one."""
        token = self._token
        if token is None or token.value != value:
            return True
        if self._clock.seconds() - self._made_at < _LEAST_AGE:
            return False
        self._token = None
        return True

    def close(self) -> Deferred[None]:
        """Close the connections to the service."""
        return self._client.close()

    def authenticate(self) -> None:
        """Get a token ahead of the first request; a failure is a warning."""
        self._run_in_background(self.current(), "no token at the start, and no swift:// source until there is one")

    def _renew_early(self) -> None:
        """Renew the token while the old one still serves."""
        if self._clock.seconds() >= self._asks_at:
            self._asks_at = self._clock.seconds() + _PATIENCE
            self._run_in_background(self._renew(early=True), "the token is not renewed, the old one still serves")

    def _run_in_background(self, work: Awaitable[SwiftToken], consequence: str) -> None:
        async def run() -> None:
            try:
                await work
            except ImgforgeError as error:
                self.log.warn("Swift: {consequence}: {line}", consequence=consequence, line=error.logged)
            except Exception:
                self.log.failure("Swift: authentication failed unexpectedly; the next request tries again")

        Deferred.fromCoroutine(run())

    def _renew(self, *, early: bool = False) -> Deferred[SwiftToken]:
        if self._refusal is not None and not early and self._clock.seconds() < self._asks_at:
            return _failed(self._refusal)
        return self._renewals.do(None, lambda: Deferred.fromCoroutine(self._authenticate()))

    async def _authenticate(self) -> SwiftToken:
        response = await self._ask(self._requests[0])
        if response.status in _OTHER_FORM and len(self._requests) > 1:
            first, *others = self._requests
            self._requests = (*others, first)  # the form that works stays the first
            response = await self._ask(self._requests[0])
        self._refusal = None
        if response.status in _REFUSED:
            raise self._refused_credentials(response.status)
        if not 200 <= response.status < 300:
            raise self._failure(f"answered {response.status}")
        try:
            token = read_token(self._version, response, self._clock.seconds())
        except OriginFailed as error:
            raise self._failure(f"cannot be used: {error.cause}") from None
        self._token, self._made_at = token, self._clock.seconds()
        self.log.info(
            "Swift: authenticated at {url}; the objects are at {store}", url=self._url, store=token.storage_url
        )
        return token

    async def _ask(self, request: OriginRequest) -> ServiceResponse:
        try:
            return await self._client.ask(request)
        except OriginTimeout as error:
            message = "the store's authentication service does not answer"
            raise OriginTimeout(message).caused_by(f"{self._url}: {error.logged}") from None
        except ImgforgeError as error:
            raise self._failure(f"failed: {error.logged}") from None

    def _failure(self, cause: str) -> OriginFailed:
        return OriginFailed("the store's authentication failed").caused_by(f"{self._url} {cause}")

    def _refused_credentials(self, status: int) -> OriginFailed:
        """The error for refused credentials; they are not sent again at once, lest the account be locked."""
        further = {1: "", 2: " and IMGFORGE_SWIFT_TENANT", 3: ", IMGFORGE_SWIFT_TENANT and IMGFORGE_SWIFT_DOMAIN"}
        self.log.error(
            "Swift: {url} refuses the credentials ({status}), and no swift:// source can be read: check "
            "IMGFORGE_SWIFT_USERNAME, IMGFORGE_SWIFT_API_KEY{further}; they are tried again after {seconds:g} s",
            url=self._url,
            status=status,
            further=further[self._version],
            seconds=_PATIENCE,
        )
        self._asks_at = self._clock.seconds() + _PATIENCE
        error = self._failure(f"refuses the credentials ({status})")
        self._refusal = error
        return error


def _failed(error: ImgforgeError) -> Deferred[SwiftToken]:
    """A failure like *error*; each has its own, for each gets a traceback."""
    failed: Deferred[SwiftToken] = Deferred()
    failed.errback(Failure(OriginFailed(error.message).caused_by(error.cause)))
    return failed
