"""Origins on loopback that send any bytes a test wants, in the test's own reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

reactor: Any = _reactor


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor run until *condition* holds; otherwise the test's timeout ends it."""
    while not condition():
        await deferLater(reactor, 0.005)


class _ScriptedProtocol(Protocol):
    """Sends for each complete head of a request what its factory's `answer` returns."""

    factory: ScriptedOrigin
    _received = b""

    def connectionMade(self) -> None:
        self.factory.connected += 1
        self.factory.open.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.open.discard(self)

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self.factory.heads.append(head)
            answer = self.factory.answer(head)
            transport: Any = self.transport
            if callable(answer):
                answer(transport)
            else:
                transport.write(answer)


class ScriptedOrigin(Factory):
    """Listens on a free port of loopback.

    *answer* gets the head of a request and returns the bytes to send, or a function that gets the transport.
    `connected` counts connections, `heads` are the heads of all requests, `open` the open connections.
    """

    protocol = _ScriptedProtocol  # type: ignore[assignment]

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self.answer = answer
        self.connected = 0
        self.heads: list[bytes] = []
        self.open: set[Any] = set()
        self.port: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    def url(self, path: str = "/a.jpg", scheme: str = "http", host: str = "127.0.0.1") -> str:
        """The URL of *path* at this origin."""
        address: Any = self.port.getHost()
        return f"{scheme}://{host}:{address.port}{path}"

    async def close(self) -> None:
        """Stop listening and abort open connections."""
        stopping: Any = maybeDeferred(self.port.stopListening)
        for connection in list(self.open):
            connection.transport.abortConnection()
        await stopping


def response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """The bytes of a complete response; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
