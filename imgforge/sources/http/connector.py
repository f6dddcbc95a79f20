"""Opens connections to origins, and learns from the TLS handshake which version of HTTP they speak."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHandshakeListener, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived
from zope.interface import implementer

from imgforge.interfaces import IServerReactor
from imgforge.sources.http.endpoints import EndpointFactory
from imgforge.sources.http.http1_connection import Http1Connection
from imgforge.sources.http.origin_connection import IOriginConnection
from imgforge.sources.http.proxy_connections import ForwardedConnection
from imgforge.sources.http.wire_url import Origin
from imgforge.sources.recent_dict import RecentDict
from imgforge.sources.settings import SourceSettings

__all__ = ["CONNECTIONS", "HTTP1", "HTTP2", "Connector", "Opened"]

HTTP2, HTTP1 = b"h2", b"http/1.1"

# How servers end a handshake that offers what they do not know, in OpenSSL's words; a server of Twisted without ALPN
# does the second.
_REFUSALS = ("alert no application protocol", "alert internal error")
_MOST_REFUSING = 1000  # origins that are remembered


def _http2_connection(clock: IReactorTime) -> Any:
    from imgforge.sources.http.http2_connection import Http2Connection  # with h2, where an origin speaks HTTP/2

    return Http2Connection(clock)


# The protocols that are offered by ALPN, in this order, and what speaks them.
CONNECTIONS: Mapping[bytes, Callable[[IReactorTime], Any]] = {
    HTTP2: _http2_connection,
    HTTP1: lambda _: Http1Connection(),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that is open."""

    connection: IOriginConnection
    shared: bool  # whether it takes several requests at once
    address: str  # that it leads to, which the address policy has allowed; or the proxy's


@implementer(IHandshakeListener)
class _Negotiation(Protocol):
    """Waits for the handshake, and then passes all on to a connection of the negotiated protocol."""

    def __init__(self, clock: IReactorTime, factories: Mapping[bytes, Callable[[IReactorTime], Any]]) -> None:
        self._clock = clock
        self._factories = factories
        self._connection: Any = None
        self.negotiated = HTTP1
        self.ready: Deferred[IOriginConnection] = Deferred(lambda _: self._transport.abortConnection())

    @property
    def _transport(self) -> Any:
        return self.transport

    def handshakeCompleted(self) -> None:
        """See `IHandshakeListener`; an origin without ALPN speaks HTTP/1.1."""
        negotiated = self._transport.negotiatedProtocol or HTTP1
        self.negotiated = negotiated if negotiated in self._factories else HTTP1
        self._connection = self._factories[self.negotiated](self._clock)
        self._connection.makeConnection(self.transport)
        if not self.ready.called:
            self.ready.callback(self._connection)

    def dataReceived(self, data: bytes) -> None:
        """Pass on."""
        if self._connection is not None:
            self._connection.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass on; before the end of the handshake, there will be no connection."""
        if self._connection is not None:
            self._connection.connectionLost(reason)
        elif not self.ready.called:
            self.ready.errback(ResponseNeverReceived([reason]))


def _refuses_alpn(error: ResponseNeverReceived) -> bool:
    texts = [str(reason.value) for reason in error.reasons if reason.check(SSL.Error)]
    return any(refusal in text for refusal in _REFUSALS for text in texts)


class _Factory(Factory):
    noisy = False  # a line for each connection, with nothing in it for an operator

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.address = ""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.address = str(getattr(addr, "host", ""))
        return self._make()


class Connector:
    """Opens connections to the addresses that the policy of *settings* allows."""

    def __init__(
        self,
        reactor: IServerReactor,
        settings: SourceSettings,
        connections: Mapping[bytes, Callable[[IReactorTime], Any]] = CONNECTIONS,
    ) -> None:
        self._reactor = reactor
        self._connections = {name: connections[name] for name in connections if settings.http2 or name != HTTP2}
        self._endpoints = EndpointFactory(reactor, settings)
        self._refuse_alpn: RecentDict[Origin, None] = RecentDict(_MOST_REFUSING)

    def may_share(self, origin: Origin) -> bool:
        """Whether a connection to *origin* may turn out to be shared."""
        return origin.scheme == "https" and HTTP2 in self._connections and origin not in self._refuse_alpn

    def connect(self, origin: Origin) -> Deferred[Opened]:
        """Open a connection to *origin*; cancelling it gives it up."""
        return Deferred.fromCoroutine(self._connect(origin))

    async def _connect(self, origin: Origin) -> Opened:
        if origin.scheme == "http":
            proxy = self._endpoints.proxy_for(origin)
            factory = _Factory(
                lambda: self._connections[HTTP1](self._reactor) if proxy is None else ForwardedConnection(proxy, origin)
            )
            endpoint: Any = self._endpoints.endpoint(origin)
            return Opened(await endpoint.connect(factory), False, factory.address)
        if self.may_share(origin):
            try:
                return await self._negotiate(origin, tuple(self._connections))
            except ResponseNeverReceived as error:
                if not _refuses_alpn(error):
                    raise
            self._refuse_alpn[origin] = None
        return await self._negotiate(origin, ())

    async def _negotiate(self, origin: Origin, protocols: tuple[bytes, ...]) -> Opened:
        endpoint: Any = self._endpoints.endpoint(origin, protocols)
        factory = _Factory(lambda: _Negotiation(self._reactor, self._connections))
        negotiation = await endpoint.connect(factory)
        connection = await negotiation.ready
        return Opened(connection, negotiation.negotiated == HTTP2, factory.address)
