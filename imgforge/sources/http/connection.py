"""Connections to origins that are not trusted to keep to HTTP.

twisted's client reads an answer correctly, but what comes *around* answers is left to us. Three things are added, and
each is a way in which one origin could spoil more than its own picture:

- Bytes after an answer would be read as the next one. A connection that carries any, or that was closed meanwhile, is
  not used again: they are looked for in what was read, in the TLS layer and in the kernel's buffer, right before the
  next request goes out. The pool then opens a new connection.
- The head of an answer, with all interim (1xx) answers before it, has a limit, and says once how the body ends: two
  ways may be read in two ways (RFC 9112, section 6.3).
- Closing is abrupt. An orderly close would wait for the origin's consent under TLS, and nothing of ours is on the way.
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

__all__ = ["ConnectionPool"]

_HEAD_LIMIT = 64 * 1024
_LONGEST_LENGTH = 18  # digits
_IN_HEAD = frozenset({"STATUS", "HEADER"})


class _Abrupt:
    """A transport whose orderly close is an abrupt one, and which remembers it."""

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
        super().makeConnection(_Abrupt(transport))

    def request(self, request: Any) -> Deferred[IResponse]:
        if self._used and _unread(self.transport):
            self.abort()
            return fail(RequestNotSent())  # upon which the pool makes a new connection
        self._used = True
        self._head = 0
        answering = super().request(request)
        parser: Any = self._parser
        if parser is not None:
            received = parser.allHeadersReceived

            def checked() -> None:
                _check_framing(parser.connHeaders)
                received()

            parser.allHeadersReceived = checked
        return answering

    def dataReceived(self, bytes: bytes) -> None:  # noqa: A002  # twisted's name
        parser = self._parser
        if parser is not None and parser.state in _IN_HEAD:
            self._head += len(bytes)
        super().dataReceived(bytes)
        if self._head > _HEAD_LIMIT and self._parser is parser and parser is not None and parser.state in _IN_HEAD:
            self._giveUp(Failure(ParseError("the head is too long", b"")))

    def _finishResponse(self, rest: bytes) -> None:
        transport: Any = self.transport
        if (rest or transport.closed) and self._currentRequest is not None:
            self._currentRequest.persistent = False  # twisted closes the connection after this answer
        super()._finishResponse(rest)


def _check_framing(headers: Headers) -> None:
    lengths, transfers = (headers.getRawHeaders(name, ()) for name in (b"content-length", b"transfer-encoding"))
    if len(transfers) + bool(lengths) > 1:
        raise ParseError("the head says twice how the body ends", b"")
    if any(len(length) > _LONGEST_LENGTH for length in lengths):
        raise ParseError("the head says an impossible length", b"")


def _unread(transport: Any) -> bool:
    """Whether a quiet connection has bytes, or its end, that nobody has read; layer by layer."""
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
    """What a pool makes for each connection; the signature is twisted's."""

    noisy = False  # a line for each connection, with nothing in it for an operator

    def __init__(self, quiescentCallback: Any, metadata: str) -> None:
        self._quiescentCallback = quiescentCallback
        self._metadata = metadata

    def buildProtocol(self, addr: object) -> _Connection:  # noqa: ARG002
        return _Connection(self._quiescentCallback)


class ConnectionPool(HTTPConnectionPool):
    """Kept-alive connections by origin: at most *per_host* idle ones each, for *idle* seconds; 0 keeps none.

    A request that a kept connection did not answer at all is sent once more, over a new one.
    """

    _factory = _Factory  # type: ignore[assignment]

    def __init__(self, reactor: Any, idle: float, per_host: int) -> None:
        super().__init__(reactor, persistent=idle > 0)
        self.maxPersistentPerHost = per_host
        self.cachedConnectionTimeout = idle  # type: ignore[assignment]  # callLater takes fractions as well
