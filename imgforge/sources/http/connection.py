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
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web._newclient import HTTP11ClientProtocol, ParseError, RequestNotSent
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from imgforge.interfaces import IServerReactor

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


class _Connection(HTTP11ClientProtocol):
    _used = False
    _head = 0  # bytes so far of the head that is being read

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(_AbruptTransport(transport))

    def request(self, request: Any) -> Deferred[IResponse]:
        if self._used and _unread(self.transport):
            self.abort()
            return fail(RequestNotSent())  # upon which the pool makes a new connection
        self._used = True
        self._head = 0
        response = super().request(request)
        parser: Any = self._parser
        if parser is not None:
            all_headers_received = parser.allHeadersReceived

            def check_headers() -> None:
                _check_framing(parser.connHeaders)
                all_headers_received()

            parser.allHeadersReceived = check_headers
        return response

    def dataReceived(self, bytes: bytes) -> None:  # noqa: A002  # Twisted's name
        parser = self._parser
        if parser is not None and parser.state in _IN_HEAD:
            self._head += len(bytes)
        super().dataReceived(bytes)
        if self._head > _HEAD_LIMIT and self._parser is parser and parser is not None and parser.state in _IN_HEAD:
            self._giveUp(Failure(ParseError("the head is too long", b"")))

    def _finishResponse(self, rest: bytes) -> None:
        transport: Any = self.transport
        if (rest or transport.closed) and self._currentRequest is not None:
            self._currentRequest.persistent = False  # Twisted closes the connection after this response
        super()._finishResponse(rest)


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


class _Factory(Factory):
    """Makes the protocol of each connection of a pool; the signature is Twisted's."""

    noisy = False  # no log line for each connection

    def __init__(self, quiescentCallback: Any, metadata: str) -> None:
        self._quiescentCallback = quiescentCallback
        self._metadata = metadata

    def buildProtocol(self, addr: object) -> _Connection:  # noqa: ARG002
        return _Connection(self._quiescentCallback)


class ConnectionPool(HTTPConnectionPool):
    """Keeps idle connections by origin: at most *per_host* each, for *idle* seconds; 0 keeps none.

    A request to which a kept connection brought no byte of a response is sent once more, over a new one.
    """

    _factory = _Factory  # type: ignore[assignment]

    def __init__(self, reactor: IServerReactor, idle: float, per_host: int) -> None:
        super().__init__(reactor, persistent=idle > 0)
        self.maxPersistentPerHost = per_host
        self.cachedConnectionTimeout = idle  # type: ignore[assignment]  # callLater takes fractions as well
