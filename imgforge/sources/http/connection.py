"""Connections to origins that are not trusted to keep to HTTP.

Twisted's client reads a response correctly; the bytes *around* responses it leaves to its user. Three checks are added,
each against a way in which one origin could spoil more than its own picture:

- Bytes after a response would be read as the next one (response smuggling). A connection that has received any, or that
  was closed meanwhile, is not used again: right before the next request is sent, the bytes read so far, the TLS layer
  and the kernel's buffer are searched for them. The pool then opens a new connection.
- The head of a response, with all interim (1xx) responses before it, has a size limit and exactly one framing of the
  body: two could be read in two ways (RFC 9112, section 6.3).
- Closing is abrupt. An orderly close would wait for the origin's close_notify under TLS, and no bytes are unsent.
"""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from imgforge.interfaces import IServerReactor
from imgforge.twisted_compat import HTTPClientParser, OriginConnectionPool, OriginProtocol, ParseError, RequestNotSent

__all__ = ["ConnectionPool"]

_HEAD_LIMIT = 64 * 1024
_LONGEST_LENGTH = 18  # digits
_IN_HEAD = frozenset({"STATUS", "HEADER"})


class _AbruptTransport:
    """A transport whose orderly close aborts; `closed` says that it did."""

    closed = False

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def loseConnection(self) -> None:
        self.closed = True
        self._transport.abortConnection()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Connection(OriginProtocol):
    _used = False

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(_AbruptTransport(transport))

    def request(self, request: Any) -> Deferred[IResponse]:
        if self._used and _unread(self.transport):
            self.abort()
            return fail(RequestNotSent())  # upon which the pool makes a new connection
        self._used = True
        return super().request(request)

    def response_begins(self, parser: HTTPClientParser, request: Any) -> None:
        transport: Any = self.transport
        data_received, headers_received, finisher = parser.dataReceived, parser.allHeadersReceived, parser.finisher
        head = 0  # bytes so far of the head that is being read

        def bounded(data: bytes) -> None:
            nonlocal head
            if parser.state in _IN_HEAD:
                head += len(data)
            data_received(data)
            if head > _HEAD_LIMIT and parser.state in _IN_HEAD:
                raise ParseError("the head is too long", b"")

        def checked() -> None:
            _check_framing(parser.connHeaders)
            headers_received()

        def finished(rest: bytes) -> None:
            if rest or transport.closed:
                request.persistent = False  # Twisted closes the connection after this response
            finisher(rest)

        replaced: Any = parser
        replaced.dataReceived, replaced.allHeadersReceived, replaced.finisher = bounded, checked, finished


def _check_framing(headers: Headers) -> None:
    lengths, transfers = (headers.getRawHeaders(name, ()) for name in (b"content-length", b"transfer-encoding"))
    if len(transfers) + bool(lengths) > 1:
        raise ParseError("the head frames the body twice", b"")
    if any(len(length) > _LONGEST_LENGTH for length in lengths):
        raise ParseError("the head has an impossible Content-Length", b"")


def _unread(transport: Any) -> bool:
    """Whether an idle connection has unread bytes, or was closed; layer by layer, TLS first."""
    while transport is not None:
        handle = transport.getHandle()
        try:
            if isinstance(handle, SSL.Connection):
                handle.recv(1, socket.MSG_PEEK)
            else:
                handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, SSL.WantReadError):
            transport = getattr(transport, "transport", None)
        except (OSError, SSL.Error):
            return True
        else:
            return True
    return False


class ConnectionPool(OriginConnectionPool):
    """Keeps idle connections by origin: at most *per_host* each, for *idle* seconds; 0 keeps none.

    A request to which a kept connection brought no byte of a response is sent once more, over a new one.
    """

    def __init__(self, reactor: IServerReactor, idle: float, per_host: int) -> None:
        super().__init__(reactor, idle > 0, _Connection)
        self.maxPersistentPerHost = per_host
        self.cachedConnectionTimeout = idle  # type: ignore[assignment]  # callLater takes fractions as well
