"""A connection: how long requests and their answers may take, what is refused before it is one, and who answers it.

bytes ─┬─ fast lane ── prebuilt answer
       └─ twisted.web's HTTPChannel ─┬─ a request ───────────────────────────> the site's Server
                                     └─ no request: broken, too long, late ──> the site's Server, with the refusal

twisted.web parses. What it takes and RFC 9112 forbids, or allows to refuse, is refused here, since a proxy in front of
us may read it otherwise: that is how requests are smuggled. Both framings at once, two lengths, spaces around names
and line breaks in values are refused by twisted.web itself; tests/web/test_framing.py has them all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web.http import HTTPChannel, datetimeToString

from imgforge.errors import ImgforgeError, TooManyClients, Unreadable
from imgforge.web.fast_lane.lane import FastLane
from imgforge.web.http.forwarded import plain_address
from imgforge.web.http.request_body import SiteRequest
from imgforge.web.http.request_headers import HOST, SINGLETONS, joined_header

if TYPE_CHECKING:
    from imgforge.web.site import ImageSite

__all__ = ["Channel"]

# What twisted.web says of connections, each that has been idle, is for those who ask for Twisted's lines.
_TWISTEDS = Logger(HTTPChannel.__module__)

_SPARE_TIME = 2.0  # seconds for the one request of a spare connection
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_LONGEST_LENGTH = 18  # digits of a Content-Length: an exabyte


class Channel(HTTPChannel):
    """A connection that its factory knows of; *lane* is tried first, if there is one."""

    factory: ImageSite
    site: ImageSite
    requestFactory = SiteRequest
    lane: FastLane | None = None
    client = ""  # its address
    proxied = False  # whether the client is another one, and told in the headers
    # One of the few that are left for health checks; or none of those either.
    spare = False
    surplus = False
    _arriving: IDelayedCall | None = None
    _reading: IDelayedCall | None = None  # while more is written than the client has read
    _refused = False
    _pending = b""  # the last line: twisted.web takes a header up with the line after it
    _last_hit = 0.0  # by the reactor's clock

    def connectionMade(self) -> None:
        super().connectionMade()
        self._log = _TWISTEDS  # as an attribute of the class it would go by our name
        self.client = plain_address(getattr(self.getPeer(), "host", ""))  # a UNIX socket's has none
        clients = self.site.resource.clients
        self.proxied = clients.trusts(self.client)
        if not self.proxied and not clients.allows(self.client):
            self.lane = None
        if self.surplus:
            self._refuse(TooManyClients("this server has as many clients as it takes"))
            return
        self.factory.connections.add(self)
        if self.spare:
            # Nobody else gets it meanwhile.
            self._arrives(min(_SPARE_TIME, self.factory.read_timeout))

    def answer_at_once(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Head and body of the fast lane's answer to *data*, if it has one and nothing else is under way here."""
        lane = self.lane
        if lane is None or self._arriving is not None or self.requests or self._buffer or not self.persistent:
            return None
        answer = lane.answer(data, self.client, proxied=self.proxied)
        if answer is not None:
            self._last_hit = lane.last
        return answer

    def dataReceived(self, data: bytes) -> None:
        """Try the fast lane first."""
        answer = self.answer_at_once(data)
        if answer is not None:
            transport: Any = self.transport
            transport.writeSequence(answer)
        else:
            self.take(data)

    def take(self, data: bytes) -> None:
        """The normal way of what the fast lane does not answer."""
        if self._refused:
            return
        if not self._handlingRequest:
            self._arrives()
        super().dataReceived(data)

    def timeoutConnection(self) -> None:
        """Nothing came for so long, but for hits maybe: they only note when they came, which is cheaper.

        Who is still reading is not idle, and has a time of its own.
        """
        period = self.timeOut
        if period is not None and self._reading is not None:
            self.setTimeout(period)
            return
        if period is not None:
            left = self._last_hit + period - self.factory.reactor.seconds()
            if left > 0:
                self.setTimeout(left)
                self.timeOut = period
                return
        super().timeoutConnection()

    # What is stricter than twisted.web.

    def lineReceived(self, line: bytes) -> None:
        """The line may be of a request that waited behind another one: its time begins here."""
        if self._refused:
            return
        self._arrives()
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self._refuse(Unreadable(431, "the request's headers are too long together"))
        elif self.requests and line[:1] in {b" ", b"\t"}:
            self._refuse(Unreadable(400, "a header is folded over several lines"))
        else:
            self._pending = line
            self._take_line(line)

    def _take_line(self, line: bytes) -> None:
        """Hand *line* to twisted.web, which refuses targets that are not ASCII; a signed path may be raw UTF-8."""
        words = line.split(b" ")
        if hasattr(self, "_path") or len(words) != 3 or words[1].isascii():
            super().lineReceived(line)
            return
        method, target, version = words
        super().lineReceived(b" ".join([method, _NOT_ASCII.sub(b"-", target), version]))
        if not self._refused:
            self._path = target

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        if self.requests:
            self._refuse(Unreadable(431, "a header of the request is too long"))
        else:
            self._refuse(Unreadable(414, "the request's target is too long"))

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if self._receivedHeaderCount >= self.maxHeaders:
            self._refuse(Unreadable(431, "the request has too many headers"))
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            self._refuse(Unreadable(501, "the only transfer coding that is known here is chunked"))
        elif name == b"content-length" and len(value) > _LONGEST_LENGTH:
            self._refuse(Unreadable(400, "the Content-Length is no length"))
        if self._refused:
            return False
        taken: bool = super().headerReceived(line)
        return taken

    def allHeadersReceived(self) -> None:
        headers = self.requests[-1].requestHeaders
        hosts = headers.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and self._version == b"HTTP/1.1"):
            self._refuse(Unreadable(400, "a request has exactly one Host header"))
        elif hosts and not HOST.match(hosts[0]):
            self._refuse(Unreadable(400, "the Host header names no host"))
        elif repeated := [
            name for name, values in headers.getAllRawHeaders() if values[1:] and name.lower() in SINGLETONS
        ]:
            self._refuse(Unreadable(400, f"the request has more than one {repeated[0].decode('ascii')} header"))
        elif self._version == b"HTTP/1.0" and headers.hasHeader(b"transfer-encoding"):
            self._refuse(Unreadable(400, "HTTP/1.0 knows no transfer codings"))
        else:
            super().allHeadersReceived()

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

    # What is no request.

    def _respondToBadRequestAndDisconnect(self) -> None:
        """See HTTPChannel, which calls this wherever it cannot go on."""
        self._refuse(Unreadable(400, "the request is malformed (RFC 9112)"))

    def _refuse(self, error: ImgforgeError) -> None:
        """Answer and close: where the next request would begin is not known any more."""
        if self._refused:
            return
        self._refused, self.persistent = True, False
        self._arrived()
        # Who does not read the answer is not waited for.
        self.setTimeout(None)
        self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        if not self.requests:
            self.requests.append(self.requestFactory(self, 0))
        request = self.requests[-1]
        request.method = getattr(self, "_command", b"-")
        request.uri = request.path = getattr(self, "_path", b"-")
        request.clientproto = b"HTTP/1.1"
        name, _, value = self._pending.partition(b":")
        if name.lower() == b"x-request-id":  # which the line that is refused came too early for
            request.requestHeaders.setRawHeaders(name, [value.strip(b" \t")])
        request.setHeader(b"Date", datetimeToString())
        request.setHeader(b"Connection", b"close")
        self.factory.resource.refuse(request, error)

    # How long a request takes to arrive.

    def _arrives(self, seconds: float | None = None) -> None:
        """The first byte of a request starts the time that all of it may take: a trickle is not a client."""
        if self._arriving is None:
            self._arriving = self.factory.reactor.callLater(seconds or self.factory.read_timeout, self._too_slow)

    def allContentReceived(self) -> None:
        """The request is complete."""
        if not self._refused:
            self._arrived()
            super().allContentReceived()

    def _arrived(self) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.active():
            arriving.cancel()

    def _too_slow(self) -> None:
        self._refuse(Unreadable(408, "the request took too long to arrive"))

    # How long an answer takes to be read.

    def pauseProducing(self) -> None:
        """More is written than fits into the buffers: the client has some time to read it."""
        self._begins_to_read()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """It has read all that was written."""
        self._has_read()
        super().resumeProducing()

    def _begins_to_read(self) -> None:
        if self._reading is None:
            self._reading = self.factory.reactor.callLater(self.factory.write_timeout, self._too_slow_a_reader)

    def _has_read(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    def _too_slow_a_reader(self) -> None:
        self._reading = None
        transport: Any = self.transport
        transport.abortConnection()

    # The end.

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """The last answer before the server ends says that it is."""
        if self.factory.closing:
            headers.setRawHeaders(b"Connection", [b"close"])
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: Any) -> None:
        """The answer is written: while the server ends, nothing follows it."""
        if self.factory.closing:
            self.persistent = False
        if not self.persistent:  # nobody would notice that the client does not read, and waits for nothing else
            self._begins_to_read()
        super().requestDone(request)

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        self._arrived()
        self._has_read()
        try:
            super().connectionLost(reason)
        finally:
            self.factory.connections.discard(self)  # when its requests have ended

    @property
    def idle(self) -> bool:
        """Whether no request is being answered; one that has only half arrived does not count."""
        return not self.requests
