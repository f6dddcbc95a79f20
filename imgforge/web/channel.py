"""A connection: what answers its requests, and how long requests and responses may take.

bytes ─┬─ fast lane ── prebuilt response
       └─ StrictChannel ─┬─ a request ─────────────────────────────> the site's Server
                         └─ malformed, too long, late: an error ───> the site's Server
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web.http import HTTPChannel, datetimeToString

from imgforge.errors import ImgforgeError, TooManyClients, Unreadable
from imgforge.web.fast_lane import Lane
from imgforge.web.http import StrictChannel, joined_header, plain_address

if TYPE_CHECKING:
    from imgforge.web.site import ImageSite

__all__ = ["Channel"]

# Each idle connection that is closed is a log line: under twisted.web's namespace, where an operator can filter it.
_TWISTED_LOG = Logger(HTTPChannel.__module__)

_SPARE_TIME = 2.0  # seconds for the one request of a spare connection


class Channel(StrictChannel):
    """A connection that its factory counts. *fast_lane*, if there is one, is tried first."""

    factory: ImageSite
    site: ImageSite
    fast_lane: Lane | None = None
    client = ""  # the address of the connection
    proxy: str | None = None  # the same if that is a trusted proxy, whose headers name the client
    # A spare connection is one of the few beyond the limit that are left for health checks, a surplus one is beyond
    # those.
    spare = False
    surplus = False
    _arriving: IDelayedCall | None = None  # ends the time that a request has to arrive
    _reading: IDelayedCall | None = None  # ends the time that the client has to read what is written
    _aborting: IDelayedCall | None = None  # cuts a connection that does not close
    _answering = False  # whether a request has arrived whole and is not answered yet
    _line_begun = False  # whether the parser may hold the beginning of a line
    _last_hit = 0.0  # by the reactor's clock

    def connectionMade(self) -> None:
        super().connectionMade()
        # What is read for each hit: Python finds it faster in the instance than in the class.
        self._arriving, self._line_begun, self.persistent, self.proxy = None, False, True, None
        self.client = plain_address(getattr(self.getPeer(), "host", ""))  # a UNIX socket's has none
        clients = self.site.resource.clients
        if clients.trusts(self.client):
            self.proxy = self.client
        elif not clients.allows(self.client):
            self.fast_lane = None
        lane = self.site.fast_lane
        if lane is not None and self.fast_lane is not None:
            self.fast_lane = lane.for_connection(self.isSecure)
        if self.surplus:
            self.reject(TooManyClients("this server has too many clients at the moment"))
            return
        self.factory.connections.add(self)
        if self.spare:
            # Nobody else gets it meanwhile.
            self._request_begins(min(_SPARE_TIME, self.factory.limits.read_timeout))

    def answer_at_once(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        """The pieces of the fast lane's response to *data*; None if it has none, or a request is in flight here."""
        fast_lane = self.fast_lane
        if fast_lane is None or self._arriving is not None or self.requests or self._line_begun or not self.persistent:
            return None
        response = fast_lane.answer(data, self.client, self.proxy)
        if response is not None:
            self._last_hit = fast_lane.last
        return response

    def dataReceived(self, data: bytes) -> None:
        """Tries the fast lane first."""
        response = self.answer_at_once(data)
        if response is not None:
            transport: Any = self.transport
            transport.writeSequence(response)
        else:
            self.take(data)

    def take(self, data: bytes) -> None:
        """Parses *data*, which the fast lane has not answered."""
        if self.rejected:
            return
        if not self._answering:
            self._request_begins()
        # Bytes of a body say nothing about lines: the next request then takes this way as well, and no harm is done.
        self._line_begun = not data.endswith(b"\r\n")
        super().dataReceived(data)

    def reject(self, error: ImgforgeError) -> None:
        """Answers with *error* and closes."""
        if self.rejected:
            return
        self.rejected, self.persistent = True, False
        self._request_ends()
        # A client that does not read the response is cut.
        self.setTimeout(None)
        self._abort_later()
        request = self.rejected_request()
        request.clientproto = b"HTTP/1.1"
        request.setHeader(b"Date", datetimeToString())
        request.setHeader(b"Connection", b"close")
        self.factory.resource.refuse(request, error)

    # How long a connection may be idle.

    def timeoutConnection(self) -> None:
        """Closes the connection, unless the fast lane has answered within the time: its hits reset no timeout.

        A client that still reads a response is not idle, and has a time limit of its own.
        """
        period = self.timeOut
        if period is not None and self._reading is not None:
            self.setTimeout(period)
            return
        if period is not None:
            left = self._last_hit + period - self.factory.clock.seconds()
            if left > 0:
                self.setTimeout(left)
                self.timeOut = period
                return
        _TWISTED_LOG.info("Timing out client: {peer}", peer=str(self.getPeer()))
        self._abort_later()
        self.loseConnection()

    def _abort_later(self) -> None:
        """Cuts the connection if it is still there after the time that twisted.web gives a client to close it."""
        if self._aborting is None:
            self._aborting = self.factory.clock.callLater(self.abortTimeout, self.forceAbortClient)

    def forceAbortClient(self) -> None:
        """Cuts the connection."""
        self._abort_no_more()
        _TWISTED_LOG.info("Forcibly timing out client: {peer}", peer=str(self.getPeer()))
        transport: Any = self.transport
        transport.abortConnection()

    def _abort_no_more(self) -> None:
        aborting, self._aborting = self._aborting, None
        if aborting is not None and aborting.active():
            aborting.cancel()

    # How long a request takes to arrive.

    def lineReceived(self, line: bytes) -> None:
        """The line may belong to a request that waited behind another one: its time begins here."""
        if not self.rejected:
            if self._arriving is None:
                self._request_begins()
            super().lineReceived(line)

    def allContentReceived(self) -> None:
        """The request is complete."""
        if not self.rejected:
            self._request_ends()
            self._answering = True
            super().allContentReceived()

    def _request_begins(self, seconds: float | None = None) -> None:
        """Starts the time that all of a request may take to arrive: a trickle must not hold a connection."""
        if self._arriving is None:
            self._arriving = self.factory.clock.callLater(
                seconds or self.factory.limits.read_timeout, self._request_is_late
            )

    def _request_ends(self) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.active():
            arriving.cancel()

    def _request_is_late(self) -> None:
        self.reject(Unreadable(408, "the request took too long to arrive"))

    # How long a response takes to be read.

    def pauseProducing(self) -> None:
        """More is written than fits into the buffers: the client has some time to read it."""
        self._reading_begins()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read what was written."""
        self._reading_ends()
        super().resumeProducing()

    def _reading_begins(self) -> None:
        if self._reading is None:
            self._reading = self.factory.clock.callLater(self.factory.limits.write_timeout, self._reading_is_late)

    def _reading_ends(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    def _reading_is_late(self) -> None:
        self._reading = None
        transport: Any = self.transport
        transport.abortConnection()

    # Whether another request may follow, and the end.

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Whether another request may follow; `close` may be one of several words, in any of several headers."""
        if version != b"HTTP/1.1":
            return False
        if self.spare or not self.factory.keeps_alive:
            request.setHeader(b"Connection", b"close")
            return False
        words = joined_header(request, b"connection").lower().split(b",")
        if b"close" not in {word.strip(b" \t") for word in words}:
            return True
        request.setHeader(b"Connection", b"close")
        return False

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """While the server ends, each response says that it is the last one of its connection."""
        if self.factory.closing:
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: Any) -> None:
        """The response is written: while the server ends, nothing follows it."""
        if self.factory.closing:
            self.persistent = False
        if self.persistent:
            self._answering = False
        super().requestDone(request)

    def loseConnection(self) -> None:
        """Closes the connection when all is written: nothing else would notice a client that does not read."""
        self._reading_begins()
        super().loseConnection()

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        self._request_ends()
        self._abort_no_more()
        try:
            super().connectionLost(reason)
        finally:
            self._reading_ends()  # it begins where a request ends because of this
            self.factory.connections.discard(self)  # when its requests have ended

    @property
    def idle(self) -> bool:
        """Whether no request is being answered; one that has only half arrived does not count."""
        return not self.requests
