"""A small HTTP proxy on loopback: absolute-form requests and tunnels. It takes every name for this machine."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol

from tests.support.scripted_origin import reactor

__all__ = ["Proxy"]


class _Onward(Protocol):
    """The connection to the origin; sends what comes back to the client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def dataReceived(self, data: bytes) -> None:
        self.client.transport.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.client.transport.loseConnection()


class _Client(Protocol):
    factory: Proxy
    received = b""
    onward: Any = None

    def connectionMade(self) -> None:
        self.factory.open.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.open.discard(self)
        if self.onward is not None:
            self.onward.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.onward is not None:
            self.onward.transport.write(data)
            return
        self.received += data
        if b"\r\n\r\n" not in self.received:
            return
        head = self.received.partition(b"\r\n\r\n")[0]
        self.factory.heads.append(head)
        transport: Any = self.transport
        if self.factory.answer:
            transport.write(self.factory.answer)
            return
        method, target = head.split(b" ")[:2]
        authority = target if method == b"CONNECT" else target.split(b"/")[2]
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", int(authority.rpartition(b":")[2]))
        connecting: Any = endpoint.connect(Factory.forProtocol(lambda: _Onward(self)))
        connecting.addCallbacks(self.forward, lambda _: transport.loseConnection(), (method,))

    def forward(self, onward: _Onward, method: bytes) -> None:
        self.onward = onward
        transport: Any = self.transport
        if method == b"CONNECT":
            transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # as it came: what follows goes the same way
            onward_transport: Any = onward.transport
            onward_transport.write(self.received)


class Proxy(Factory):
    """Listens on a free port; `heads` are those of the requests that it got; *answer* is sent in place of serving."""

    protocol = _Client  # type: ignore[assignment]
    noisy = False

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.open: set[Any] = set()
        self.port: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    def url(self, credentials: str = "") -> str:
        """The value for HTTP_PROXY."""
        address: Any = self.port.getHost()
        return f"http://{credentials}127.0.0.1:{address.port}"

    async def close(self) -> None:
        """Stop listening and abort open connections."""
        stopping: Any = maybeDeferred(self.port.stopListening)
        for client in list(self.open):
            client.transport.abortConnection()
        await stopping
