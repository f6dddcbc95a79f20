"""Connections through a proxy: requests in absolute form for http, and a tunnel (CONNECT) for https."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.interfaces import IServerReactor
from imgforge.sources.http.failure_causes import cause_of
from imgforge.sources.http.http1_connection import HEAD_LIMIT, Http1Connection
from imgforge.sources.http.proxies import Proxy
from imgforge.sources.http.wire_url import Origin

__all__ = ["ForwardedConnection", "ProxyEndpoint", "ProxyFailed", "TunnelEndpoint"]

_PROXY_AUTHENTICATION_REQUIRED = 407


class ProxyFailed(Exception):
    """The proxy cannot be reached, or does not do what it is asked for."""


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """Connects to *proxy*, whose address is the operator's and under no policy; `ProxyFailed` where that fails."""

    def __init__(self, reactor: IServerReactor, proxy: Proxy, timeout: float) -> None:
        self._endpoint = HostnameEndpoint(reactor, proxy.host, proxy.port, timeout=timeout)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting.addErrback(_explain)


def _explain(failure: Failure) -> Failure:
    if failure.check(CancelledError, ConnectingCancelledError):
        return failure
    raise ProxyFailed(f"cannot connect to the proxy: {cause_of(failure.value or ConnectError())}") from None


class ForwardedConnection(Http1Connection):
    """A connection to *proxy* for requests to one *origin* of plain http."""

    def __init__(self, proxy: Proxy, origin: Origin) -> None:
        super().__init__()
        self._proxy = proxy
        self._prefix = b"http://" + origin.authority

    def send(
        self,
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
    ) -> Deferred[IResponse]:
        """See `IOriginConnection`."""
        answering = super().send(authority, self._prefix + target, [*headers, *self._proxy.headers], body, method)
        return answering.addCallback(self._checked)

    def _checked(self, response: IResponse) -> IResponse:
        if response.code == _PROXY_AUTHENTICATION_REQUIRED:
            self.abort()
            raise ProxyFailed("the proxy asks for other credentials")
        return response


class _Tunnel(Protocol):
    """Asks for the tunnel, and then passes all on to the protocol that uses it; `ready` fires with that one."""

    def __init__(self, proxy: Proxy, origin: Origin, factory: IProtocolFactory, address: Any) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        self._target = f"{host}:{origin.port}".encode("ascii")
        self._proxy = proxy
        self._factory = factory
        self._address = address
        self._parser = h11.Connection(h11.CLIENT, HEAD_LIMIT)
        self._received = 0
        self._user: IProtocol | None = None
        self.ready: Deferred[IProtocol] = Deferred(lambda _: self._transport.abortConnection())

    @property
    def _transport(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        headers = [(b"Host", self._target), *self._proxy.headers]
        head = self._parser.send(h11.Request(method=b"CONNECT", target=self._target, headers=headers))
        self._parser.send(h11.EndOfMessage())
        self._transport.write(head)

    def dataReceived(self, data: bytes) -> None:
        if self._user is not None:
            self._user.dataReceived(data)
        elif not self.ready.called:
            self._received += len(data)
            try:
                self._parser.receive_data(data)
                self._read()
            except h11.RemoteProtocolError:
                self._fail("the proxy does not answer in HTTP/1.1")

    def _read(self) -> None:
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.Response):
                if not 200 <= event.status_code < 300:
                    self._fail(f"the proxy answered {event.status_code}")
                elif self._parser.trailing_data[0]:
                    self._fail("the proxy sent bytes before the tunnel was used")
                else:
                    self._open()
                return
            if self._received > HEAD_LIMIT:
                self._fail("the head of the proxy's response is too long")
                return
            if not isinstance(event, h11.InformationalResponse):
                return

    def _open(self) -> None:
        user = self._user = self._factory.buildProtocol(self._address)
        if user is None:
            self._fail("the tunnel is not wanted")
            return
        user.makeConnection(self._transport)
        self.ready.callback(user)

    def _fail(self, why: str) -> None:
        self._transport.abortConnection()
        self.ready.errback(ProxyFailed(why))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._user is not None:
            self._user.connectionLost(reason)
        elif not self.ready.called:
            self.ready.errback(ProxyFailed("the proxy closed the connection"))


class _TunnelFactory(Factory):
    noisy = False

    def __init__(self, proxy: Proxy, origin: Origin, factory: IProtocolFactory) -> None:
        self._arguments = (proxy, origin, factory)

    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        return _Tunnel(*self._arguments, addr)


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """Connects to *origin* by a tunnel through *proxy*, to which *endpoint* leads."""

    def __init__(self, endpoint: IStreamClientEndpoint, proxy: Proxy, origin: Origin) -> None:
        self._endpoint: Any = endpoint
        self._proxy = proxy
        self._origin = origin

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        tunnel = await self._endpoint.connect(_TunnelFactory(self._proxy, self._origin, factory))
        user: IProtocol = await tunnel.ready
        return user
