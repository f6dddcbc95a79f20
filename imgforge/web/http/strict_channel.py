"""The parser of requests: twisted.web's, but stricter.

twisted.web parses. What it takes although RFC 9112 forbids it, or allows to reject it, is rejected here, since a proxy
in front of us may read it in another way: that is how requests are smuggled. twisted.web itself rejects both framings
at once, two lengths and spaces around names. tests/web/http/test_strict_channel.py has all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IAddress

from imgforge.errors import ImgforgeError, Unreadable
from imgforge.twisted_compat_http import ParsingChannel
from imgforge.web.http.request_body import SiteRequest
from imgforge.web.http.request_headers import HOST, SINGLETONS

__all__ = ["StrictChannel"]

_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_LONGEST_LENGTH = 18  # digits of a Content-Length: an exabyte


class StrictChannel(ParsingChannel):
    """An HTTP/1.1 connection that rejects malformed, ambiguous and oversized requests; a subclass answers them."""

    requestFactory = SiteRequest
    rejected = False  # whether a request was rejected: where the next one begins is unknown from then on
    _last_line = b""  # twisted.web handles a header together with the line after it
    _head_bytes = 0
    _head_headers = 0
    _host: IAddress | None = None
    _head = b""  # of a response, until the beginning of the body is sent with it

    def reject(self, error: ImgforgeError) -> None:
        """Answers with *error* and closes; sets `rejected`. To be overridden."""
        raise NotImplementedError

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """Keeps the head for `write` and `send_head`: one call sends head and body together."""
        lines = [version + b" " + code + b" " + reason]
        lines += [name + b": " + value for name, values in headers.getAllRawHeaders() for value in values]
        self._head = b"\r\n".join(lines) + b"\r\n\r\n"

    def write(self, data: bytes) -> None:
        """Sends *data*, after the head that is kept."""
        self.writeSequence([data])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Sends all of *iovec*, after the head that is kept."""
        head, self._head = self._head, b""
        transport: Any = self.transport
        transport.writeSequence([head, *iovec] if head else list(iovec))

    def send_head(self) -> None:
        """Sends the head, if it is kept."""
        if self._head:
            self.writeSequence([])

    def getHost(self) -> IAddress:
        """The local address; twisted.web asks for it with each request."""
        if self._host is None:
            self._host = super().getHost()
        return self._host

    def malformed_request(self) -> None:
        """Rejects what twisted.web cannot parse."""
        self.reject(Unreadable(400, "the request is malformed (RFC 9112)"))

    def rejected_request(self) -> SiteRequest:
        """The request that is being rejected, as far as it was read, with its id."""
        if not self.requests:
            self.requests.append(self.requestFactory(self, 0))
        request: SiteRequest = self.requests[-1]
        name, _, value = self._last_line.partition(b":")
        if name.lower() == b"x-request-id":  # twisted.web would have handled it with the line that is rejected
            request.requestHeaders.setRawHeaders(name, [value.strip(b" \t")])
        return request

    def lineReceived(self, line: bytes) -> None:
        """Rejects a head that is too long altogether, and headers that are folded (RFC 9112, section 5.2)."""
        self._head_bytes += len(line)
        if self._head_bytes > self.totalHeadersSize:
            self.reject(Unreadable(431, "the request's headers are too long together"))
        elif b"\n" in line or b"\r" in line:  # before 26.10 twisted.web lets them pass in values
            self.malformed_request()
        elif not self.requests:
            self._last_line = line
            self._receive_request_line(line)
        elif line[:1] in {b" ", b"\t"}:
            self.reject(Unreadable(400, "a header is folded over several lines"))
        else:
            self._last_line = line
            super().lineReceived(line)

    def _receive_request_line(self, line: bytes) -> None:
        """twisted.web rejects targets that are not ASCII; a signed path may be raw UTF-8."""
        words = line.split(b" ")
        if len(words) == 3:
            super().lineReceived(b" ".join([words[0], _NOT_ASCII.sub(b"-", words[1]), words[2]]))
        else:
            super().lineReceived(line)
        if self.requests and not self.rejected:
            self.requests[-1].request_line_received(*words)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Rejects a line that is too long."""
        if self.requests:
            self.reject(Unreadable(431, "a header of the request is too long"))
        else:
            self.reject(Unreadable(414, "the request's target is too long"))

    def headerReceived(self, line: bytes) -> bool:
        """Rejects too many headers, and lengths and codings that parsers read differently."""
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if self._head_headers >= self.maxHeaders:
            self.reject(Unreadable(431, "the request has too many headers"))
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            self.reject(Unreadable(501, "the only transfer coding that is supported is chunked"))
        elif name == b"content-length" and len(value) > _LONGEST_LENGTH:
            self.reject(Unreadable(400, "the Content-Length is not a length"))
        if self.rejected:
            return False
        self._head_headers += 1
        accepted: bool = super().headerReceived(line)
        return accepted

    def allHeadersReceived(self) -> None:
        """Rejects heads whose host or singleton headers are missing, repeated or malformed."""
        request = self.requests[-1]
        headers = request.requestHeaders
        hosts = headers.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and request.clientproto == b"HTTP/1.1"):
            self.reject(Unreadable(400, "a request must have exactly one Host header"))
        elif hosts and not HOST.match(hosts[0]):
            self.reject(Unreadable(400, "the Host header is not a host"))
        elif repeated := [
            name for name, values in headers.getAllRawHeaders() if values[1:] and name.lower() in SINGLETONS
        ]:
            self.reject(Unreadable(400, f"the request has more than one {repeated[0].decode('ascii')} header"))
        elif request.clientproto == b"HTTP/1.0" and headers.hasHeader(b"transfer-encoding"):
            self.reject(Unreadable(400, "HTTP/1.0 has no transfer codings"))
        else:
            super().allHeadersReceived()

    def allContentReceived(self) -> None:
        """Begins to count for the next request."""
        self._head_bytes = self._head_headers = 0
        super().allContentReceived()
