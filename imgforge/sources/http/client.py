"""Sends requests to origins through treq: connections, the address policy, and what is raised where that fails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hyperlink import EncodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.logger import Logger
from twisted.web.client import RequestGenerationFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.iweb import IResponse

from imgforge.errors import ImgforgeError, OriginFailed
from imgforge.interfaces import IServerReactor
from imgforge.sources.http.connection_pool import ConnectionPool
from imgforge.sources.http.connector import Connector
from imgforge.sources.http.failure_causes import cause_of
from imgforge.sources.http.origin_agent import NoCookies, OriginAgent
from imgforge.sources.http.origin_connection import NotSent
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.http.proxy_connections import ProxyFailed
from imgforge.sources.http.request_headers import wire_headers
from imgforge.sources.http.wire_url import split_wire_url
from imgforge.sources.settings import SourceSettings

__all__ = ["OriginClient"]

# What connections and endpoints raise when a request to an origin fails.
_NETWORK_ERRORS = (
    ConnectError,
    ConnectionClosed,
    DNSLookupError,
    NotSent,
    ProxyFailed,
    RequestGenerationFailed,
    ResponseFailed,
    ResponseNeverReceived,
    SSL.Error,
    ValueError,
)
_SECRETS = re.compile(r"(?<=://)[^/?#]*@|[?#].*")  # of a URL: user information, which is refused besides, and query


_ANY_TEXT = "http://origin/"


class _AnyUrl(EncodedURL):
    """A URL for treq: to encode it and write it out for each request costs a tenth of a fetch's CPU."""

    def to_uri(self) -> EncodedURL:
        return self

    def to_text(self, with_password: bool = False) -> str:  # noqa: ARG002
        return _ANY_TEXT


_ANY_URL = _AnyUrl.from_text(_ANY_TEXT)  # the agent sends the request's


class OriginClient:
    """Sends requests over one pool of connections, to the addresses that the policy of *settings* allows.

    Connections to the origins of *endpoints*, which are URLs, are opened at the start. A *quiet* one leaves it to its
    user to log failures.
    """

    log = Logger()

    def __init__(
        self, reactor: IServerReactor, settings: SourceSettings, endpoints: Sequence[str] = (), *, quiet: bool = False
    ) -> None:
        self._reactor: Any = reactor
        self._headers = wire_headers({"User-Agent": settings.user_agent, "Accept": "*/*"})
        self._jar: Any = NoCookies()
        self._timeout = settings.download_timeout
        self._failed = self.log.debug if quiet else self.log.info
        self._pool = ConnectionPool(
            reactor,
            Connector(reactor, settings),
            settings.keep_alive_timeout,
            settings.idle_connections_per_host,
            settings.idle_connections,
        )
        self._preconnecting: set[Deferred[None]] = set()
        if settings.preconnect and endpoints:
            self._reactor.callWhenRunning(self.preconnect, endpoints, settings.preconnect)

    async def get(self, request: OriginRequest) -> IResponse:
        """The response to *request*, whose body has to be delivered, or dropped by `discard`.

        `OriginFailed` where the origin cannot be reached or breaks HTTP, `SourceRefused` by the address policy.
        Cancelling it gives the connection up.
        """
        try:
            agent = OriginAgent(self._pool, request, self._headers)
            answer: Any = await HTTPClient(agent, self._jar).get(
                _ANY_URL, cookies=self._jar, allow_redirects=False, unbuffered=True, reactor=self._reactor
            )
        except ImgforgeError:
            raise
        except ConnectingCancelledError:  # a cancelled look-up or connection ends with it
            raise CancelledError from None
        except _NETWORK_ERRORS as error:
            # The query may carry a signature, which would open the origin to every reader of the log.
            cause = cause_of(error)
            self._failed("cannot fetch {url}: {cause}", url=request.url.partition("?")[0], cause=cause)
            raise OriginFailed("the origin cannot be reached or breaks HTTP").caused_by(cause) from None
        response: IResponse = answer.original  # each attribute of treq's costs a call more
        return response

    def preconnect(self, urls: Sequence[str], number: int) -> None:
        """Open *number* connections to the origin of each of *urls*, or one of HTTP/2; a failure is logged."""
        for url in urls:
            opening = Deferred.fromCoroutine(self._preconnect(url, number))
            if not opening.called:
                self._preconnecting.add(opening)
                opening.addBoth(self._preconnected, opening)

    async def _preconnect(self, url: str, number: int) -> None:
        origin = _SECRETS.sub("", url)
        try:
            connecting = Deferred.fromCoroutine(self._pool.preconnect(split_wire_url(url)[0], number))
            await connecting.addTimeout(self._timeout, self._reactor)
        except (CancelledError, ConnectingCancelledError):
            self.log.debug("connections to {origin} were given up", origin=origin)
        except Exception as error:
            cause = error.logged if isinstance(error, ImgforgeError) else cause_of(error)
            self.log.warn("cannot open connections to {origin} ahead: {cause}", origin=origin, cause=cause)

    def _preconnected(self, _: None, opening: Deferred[None]) -> None:
        self._preconnecting.discard(opening)

    async def _close(self) -> None:
        for opening in list(self._preconnecting):
            opening.cancel()
        await self._pool.close()

    def close(self) -> Deferred[None]:
        """Close the idle connections; those in use belong to fetches, which close them when they are cancelled."""
        return Deferred.fromCoroutine(self._close())
