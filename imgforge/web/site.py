"""The HTTP factory: twisted.web's, which knows its connections so that they can be closed in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.server import Site

from imgforge.web.channel import Channel
from imgforge.web.fast_lane import FastLane
from imgforge.web.in_flight import InFlight
from imgforge.web.server import Server

__all__ = ["ConnectionLimits", "ImageSite"]

_LEAST_SPARE = 8  # connections for health checks when all others are in use
_LATE_REQUEST = 1.0  # seconds for the request of a connection that is made while the server ends


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, and for how many seconds each may wait."""

    keep_alive: float  # until an idle connection is closed; 0: it is closed after its first response
    read_timeout: float  # until a request has arrived whole; the client then gets 408
    write_timeout: float = 30.0  # until the client has read what is written; the connection is then cut
    # 0: unlimited. Beyond it a few connections more are accepted for one request each, a health check; any other gets
    # 503. Beyond those, 503 is sent at once.
    max_clients: int = 0


class ImageSite(Site):
    """Serves *resource* within *limits*. *fast_lane* is tried first."""

    resource: Server

    def __init__(
        self,
        resource: Server,
        clock: IReactorTime,
        limits: ConnectionLimits,
        fast_lane: FastLane | None = None,
    ) -> None:
        # A client that connects and sends nothing has some time even without keep-alive.
        super().__init__(resource, reactor=clock, timeout=limits.keep_alive or limits.read_timeout)
        self.clock = clock
        self.limits = limits
        self.connections: InFlight[Channel] = InFlight()
        self.fast_lane = fast_lane if self.keeps_alive else None  # its responses leave the connection open
        self.closing = False
        self.displayTracebacks = False
        self.noisy = False

    @property
    def keeps_alive(self) -> bool:
        """Whether a connection may have a second request."""
        return self.limits.keep_alive > 0

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002
        """A `Channel`, in place of twisted.web's, which negotiates HTTP/2: only HTTP/1.1 is served."""
        most = self.limits.max_clients
        beyond = len(self.connections) - most if most else -1
        channel: Any = Channel()
        channel.factory = channel.site = self
        channel.timeOut = _LATE_REQUEST if self.closing else self.timeOut
        channel.callLater = self.clock.callLater
        channel.spare = beyond >= 0
        channel.surplus = beyond >= max(_LEAST_SPARE, most // 16)
        channel.fast_lane = None if self.closing or channel.spare else self.fast_lane
        return channel

    def log(self, request: Any) -> None:
        """Writes nothing: `Server` writes the access log, which has more fields."""

    def end_connections(self) -> None:
        """From now on each connection is closed after its next response, or after the one in flight."""
        self.closing = True
        for channel in self.connections:
            channel.fast_lane = None

    def close_idle(self) -> None:
        """Closes the idle connections, and each other one after its response. What is written still goes out."""
        self.end_connections()
        for channel in list(self.connections):
            if channel.idle:
                channel.loseConnection()

    def when_idle(self) -> Deferred[None]:
        """Fires when no request is in flight and no connection is open, at once if that is so now.

        An open connection may still have bytes to send, of a streamed body or of the fast lane's responses, so that it
        counts until it is closed: see `close_idle`. The Deferred may be cancelled.
        """
        return Deferred.fromCoroutine(self._until_idle())

    async def _until_idle(self) -> None:
        while self.resource.in_flight or self.connections:
            await self.resource.in_flight.when_idle()
            await self.connections.when_idle()
