"""The HTTP factory: twisted.web's, with an eye on its connections so that they can be closed in order."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.tcp import Connection
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Site

from imgforge.web._lane import FastLane

__all__ = ["ImageSite"]


class _Channel(HTTPChannel):
    """A connection that its factory knows of."""

    factory: ImageSite
    site: ImageSite
    _arriving: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.connections.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Try the fast lane, if nothing else is under way on this connection."""
        lane = None if self.factory.closing else self.factory.lane
        if lane is not None and self._arriving is None and not self.requests and not self._buffer and self.persistent:
            answer = lane.answer(data)
            if answer is not None:
                self.resetTimeout()
                self._write_at_once(answer)
                return
        if not self._handlingRequest:
            self._arrives()
        super().dataReceived(data)

    def _write_at_once(self, data: bytes) -> None:
        """To the socket directly where nothing waits before it: through the reactor it takes a third longer."""
        transport: Any = self.transport
        if isinstance(transport, Connection) and not (transport.dataBuffer or transport._tempDataBuffer):  # noqa: SLF001
            try:
                sent = transport.socket.send(data)
            except OSError:  # full, or gone: the transport finds out which
                sent = 0
            data = data[sent:]
        if data:
            transport.write(data)

    def lineReceived(self, line: bytes) -> None:
        """The line may be of a request that waited behind another one: its time begins here."""
        self._arrives()
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Say why, rather than close without a word."""
        status = b"431 Request Header Fields Too Large" if self.requests else b"414 URI Too Long"
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        super().lineLengthExceeded(line)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """The last answer before the server ends says that it is."""
        if self.factory.closing:
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: Any) -> None:
        """The answer is written: while the server ends, nothing follows it."""
        if self.factory.closing:
            self.persistent = False
        super().requestDone(request)

    def _arrives(self) -> None:
        """The first byte of a request starts the time that all of it may take: a trickle is not a client."""
        if self._arriving is None:
            self._arriving = self.factory.reactor.callLater(self.factory.read_timeout, self._too_slow)

    def allContentReceived(self) -> None:
        """The request is complete."""
        self._arrived()
        super().allContentReceived()

    def _arrived(self) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.active():
            arriving.cancel()

    def _too_slow(self) -> None:
        self.forceAbortClient()

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        self._arrived()
        self.factory.connections.discard(self)
        super().connectionLost(reason)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered; one that has only half arrived does not count."""
        return not self.requests


class ImageSite(Site):
    """Serves *resource*.

    An idle connection is closed after *keep_alive* seconds, one whose request takes longer than *read_timeout* seconds
    to arrive is cut, and beyond *max_clients* (0: unlimited) none is accepted. *lane* answers what it can first.
    """

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        *,
        keep_alive: float,
        read_timeout: float,
        max_clients: int = 0,
        lane: FastLane | None = None,
    ) -> None:
        super().__init__(resource, reactor=reactor, timeout=keep_alive or None)
        self.connections: set[_Channel] = set()
        self.read_timeout = read_timeout
        self.max_clients = max_clients
        self.lane = lane
        self.closing = False
        self.displayTracebacks = False
        self.noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002
        """A channel of ours in place of twisted.web's negotiating one: HTTP/1.1 is all that is spoken here.

        None, which closes the connection, where there are too many.
        """
        if self.max_clients and len(self.connections) >= self.max_clients:
            return None
        channel: Any = _Channel()
        channel.factory = channel.site = self
        channel.requestFactory = self.requestFactory
        channel.timeOut = self.timeOut
        channel.callLater = self.reactor.callLater
        return channel

    def log(self, request: Any) -> None:
        """The access log is written elsewhere, with more in it."""

    def close_idle(self) -> None:
        """Close the connections on which nothing is under way, and from now on the others after their answer.

        What was written to them still goes out.
        """
        self.closing = True
        for channel in [channel for channel in self.connections if channel.idle]:
            channel.loseConnection()
