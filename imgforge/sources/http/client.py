"""Sends requests to origins: connections, TLS, the address policy; and what is raised where that fails."""

from __future__ import annotations

from typing import Any

from hyperlink import EncodedURL
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.logger import Logger
from twisted.web.client import (
    Agent,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from imgforge.errors import ImgforgeError, OriginFailed
from imgforge.interfaces import IServerReactor
from imgforge.sources.http.connection import ConnectionPool
from imgforge.sources.http.endpoints import EndpointFactory
from imgforge.sources.http.failure_causes import cause_of
from imgforge.sources.http.origin_agent import NoCookies, OriginAgent
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.settings import SourceSettings

__all__ = ["OriginClient"]

_ANY_URL = EncodedURL.from_text("http://origin/")  # the agent sends the request's

# What twisted.web.client and the endpoints raise when a request to an origin fails.
_NETWORK_ERRORS = (
    ConnectError,
    ConnectionClosed,
    DNSLookupError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
    SSL.Error,
    ValueError,
)


class OriginClient:
    """Sends requests over one pool of connections, to the addresses that the policy of *settings* allows."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: SourceSettings) -> None:
        self._reactor: Any = reactor
        self._jar: Any = NoCookies()
        self._user_agent = settings.user_agent
        self._pool = ConnectionPool(reactor, settings.keep_alive_timeout, settings.idle_connections_per_host)
        self._agent = Agent.usingEndpointFactory(reactor, EndpointFactory(reactor, settings), pool=self._pool)

    def get(self, request: OriginRequest) -> Deferred[IResponse]:
        """The response to *request*, whose body has to be delivered, or dropped by `discard`.

        `OriginFailed` where the origin cannot be reached or breaks HTTP, `SourceRefused` by the address policy.
        Cancelling it gives the connection up.
        """
        return ensureDeferred(self._get(request))

    async def _get(self, request: OriginRequest) -> IResponse:
        try:
            sent = Headers({name: [value.replace("\0", " ")] for name, value in request.headers.items()})
            for name, value in (("User-Agent", self._user_agent), ("Accept", "*/*")):
                if not sent.hasHeader(name):
                    sent.setRawHeaders(name, [value])
            response: IResponse = await HTTPClient(OriginAgent(self._agent, request), self._jar).get(
                _ANY_URL, headers=sent, cookies=self._jar, allow_redirects=False, unbuffered=True, reactor=self._reactor
            )
        except ImgforgeError:
            raise
        except ConnectingCancelledError:  # a cancelled look-up or connection ends with it
            raise CancelledError from None
        except _NETWORK_ERRORS as error:
            inner = _inner(error)
            if inner is not None:
                raise inner from None
            # The query may carry a signature, which would open the origin to every reader of the log.
            cause = cause_of(error)
            self.log.info("cannot fetch {url}: {cause}", url=request.url.partition("?")[0], cause=cause)
            raise OriginFailed("the origin cannot be reached or breaks HTTP").caused_by(cause) from None
        return response

    def close(self) -> Deferred[None]:
        """Close the idle connections; those in use belong to fetches, which close them when they are cancelled."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing


def _inner(error: BaseException) -> BaseException | None:
    """The error that Twisted has wrapped: one of imgforge, from the address policy, or the fetch's cancellation."""
    values = (reason.value for reason in getattr(error, "reasons", ()))
    return next((value for value in values if isinstance(value, (ImgforgeError, CancelledError))), None)
