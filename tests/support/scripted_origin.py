"""Origins on loopback that say byte for byte what a test wants, in the test's own reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

reactor: Any = _reactor


async def until(true: Callable[[], object]) -> None:
    """Let the reactor turn until *true*; the test's own timeout ends it otherwise."""
    while not true():
        await deferLater(reactor, 0.005)


class _Scripted(Protocol):
    """Answers each request, of which the head is complete, with what its factory's `answer` returns."""

    factory: Origin
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


class Origin(Factory):
    """Listens on a free port of loopback; `connected` counts connections, `heads` are the requests."""

    protocol = _Scripted  # type: ignore[assignment]

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self.answer = answer
        self.connected = 0
        self.heads: list[bytes] = []
        self.open: set[Any] = set()
        self.port: IListeningPort = reactor.listenTCP(0, self, interface="127.0.0.1")

    def url(self, path: str = "/a.jpg", scheme: str = "http", host: str = "127.0.0.1") -> str:
        """The address of *path* here."""
        address: Any = self.port.getHost()
        return f"{scheme}://{host}:{address.port}{path}"

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        stopping: Any = maybeDeferred(self.port.stopListening)
        for connection in list(self.open):
            connection.transport.abortConnection()
        await stopping


def whole(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A complete answer; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
