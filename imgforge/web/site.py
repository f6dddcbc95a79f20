"""The HTTP factory: twisted.web's, with an eye on its connections so that they can be closed in order."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.web.server import Site

from imgforge.web.channel import Channel
from imgforge.web.fast_lane.lane import FastLane
from imgforge.web.in_flight import InFlight
from imgforge.web.server import Server

__all__ = ["ImageSite"]

_LEAST_SPARE = 8  # connections for health checks when all others are taken
_LATE_REQUEST = 1.0  # seconds for the request of a connection that is made while the server ends


class ImageSite(Site):
    """Serves *resource*.

    An idle connection is closed after *keep_alive* seconds, with 0 after its first answer; one whose request takes
    longer than *read_timeout* seconds to arrive is cut, and so is who takes longer than *write_timeout* to read what
    waits. Beyond *max_clients* (0: unlimited) some connections more are taken for one request each, which is answered
    if it is a health check, and with 503 else; beyond those, 503 comes at once. *lane* answers what it can first.
    """

    resource: Server

    def __init__(
        self,
        resource: Server,
        reactor: Any,
        *,
        keep_alive: float,
        read_timeout: float,
        write_timeout: float = 30.0,
        max_clients: int = 0,
        lane: FastLane | None = None,
    ) -> None:
        # Who connects and says nothing has some time in either case.
        super().__init__(resource, reactor=reactor, timeout=keep_alive or read_timeout)
        self.keeps_alive = keep_alive > 0
        self.connections: InFlight[Channel] = InFlight()
        self.read_timeout = read_timeout
        self.write_timeout = write_timeout
        self.max_clients = max_clients
        self.fast_lane = lane if self.keeps_alive else None  # whose answers leave the connection open
        self.closing = False
        self.displayTracebacks = False
        self.noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002
        """A channel of ours in place of twisted.web's negotiating one: HTTP/1.1 is all that is spoken here."""
        beyond = len(self.connections) - self.max_clients if self.max_clients else -1
        channel: Any = Channel()
        channel.factory = channel.site = self
        channel.timeOut = _LATE_REQUEST if self.closing else self.timeOut
        channel.callLater = self.reactor.callLater
        channel.spare = beyond >= 0
        channel.surplus = beyond >= max(_LEAST_SPARE, self.max_clients // 16)
        channel.fast_lane = None if self.closing or channel.spare else self.fast_lane
        return channel

    def when_idle(self) -> Deferred[None]:
        """Fires when no request is in flight and no connection is open, at once if that is so now.

        An open connection may still have bytes to send, of a streamed body or of the fast lane's answers, so that it
        counts until it is closed: see `close_idle`. The Deferred may be cancelled.
        """
        return Deferred.fromCoroutine(self._until_idle())

    async def _until_idle(self) -> None:
        while self.resource.in_flight or self.connections:
            await self.resource.in_flight.when_idle()
            await self.connections.when_idle()

    def log(self, request: Any) -> None:
        """The access log is written elsewhere, with more in it."""

    def end_connections(self) -> None:
        """From now on each connection ends with its next answer, or the one under way."""
        self.closing = True
        for channel in self.connections:
            channel.fast_lane = None

    def close_idle(self) -> None:
        """Close the connections on which nothing is under way, and the others after their answer.

        What was written to them still goes out.
        """
        self.end_connections()
        for channel in list(self.connections):
            if channel.idle:
                channel.loseConnection()
