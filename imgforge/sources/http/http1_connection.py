"""A connection to an origin that is not trusted to keep to HTTP/1.1, on h11.

h11 reads heads and chunks correctly; the bytes *around* responses it leaves to its user. Bodies of declared length are
counted here, for h11 would copy them several times. Checks are added, each against a way
in which one origin could spoil more than its own picture:

- Bytes after a response would be read as the next one (response smuggling). A connection that has received any, or that
  was closed meanwhile, is not used again: right before the next request is sent, the bytes read so far, the TLS layer
  and the kernel's buffer are searched for them.
- The head of a response, with all interim (1xx) responses before it, has a size limit and exactly one framing of the
  body: two could be read in two ways (RFC 9112, section 6.3).
- A body of many small chunks is refused (`ChunkLimit`).
- Closing is abrupt. An orderly close would wait for the origin's close_notify under TLS, and no bytes are unsent.
- A body without a declared length ends with an orderly close of the connection. With any other it is cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import h11
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import RequestGenerationFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.sources.http.chunk_limit import ChunkLimit
from imgforge.sources.http.immediate_write import write_at_once
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent
from imgforge.sources.http.origin_response import OriginResponse
from imgforge.sources.http.unread_bytes import has_unread_bytes

__all__ = ["HEAD_LIMIT", "Http1Connection"]

HEAD_LIMIT = 64 * 1024  # bytes
_LONGEST_LENGTH = 18  # digits
_NO_BODY = frozenset({204, 304})
_END = h11.EndOfMessage()


class _Exchange:
    """A request and its response, and what the response's reader may do with the connection meanwhile."""

    def __init__(self, connection: Http1Connection, reused: bool, bodiless: bool) -> None:
        self._connection: Http1Connection | None = connection
        self.reused = reused
        self.bodiless = bodiless  # whether no response to the request has a body
        self.received = 0  # bytes of the head so far
        self.response: OriginResponse | None = None
        self.chunks = ChunkLimit()
        self.left: int | None = None  # bytes of a body of declared length that are to come
        self.answering: Deferred[IResponse] = Deferred(lambda _: self.abandon_body())

    def end(self) -> None:
        """From now on the connection belongs to others."""
        self._connection = None

    def pause_body(self) -> None:
        if self._connection is not None:
            self._connection.pause(True)

    def resume_body(self) -> None:
        if self._connection is not None:
            self._connection.pause(False)

    def abandon_body(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    def failure(self, reason: Failure) -> Exception:
        """What the request fails with where the connection is lost for *reason* before the head is whole."""
        if self.received:
            return ResponseFailed([reason])
        return NotSent("the connection was closed") if self.reused else ResponseNeverReceived([reason])


@implementer(IOriginConnection)
class Http1Connection(Protocol):
    """See `IOriginConnection`; one request at a time."""

    settled = True

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.closed = False
        self._parser: h11.Connection  # for one request
        self._exchange: _Exchange | None = None
        self._used = False
        self._all_sent = True
        self._closing = False  # once the response is whole
        self._aborted = False

    @property
    def free(self) -> int:
        """See `IOriginConnection`."""
        return int(self._exchange is None and not (self._closing or self._aborted or self.closed))

    @property
    def active(self) -> int:
        """See `IOriginConnection`."""
        return int(self._exchange is not None)

    def send(
        self,
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
    ) -> Deferred[IResponse]:
        """See `IOriginConnection`."""
        if not self.free:
            return fail(NotSent("the connection is in use, or closed"))
        if self._used and has_unread_bytes(self.transport):
            self.abort()
            return fail(NotSent("the origin sent bytes that nobody asked for, or closed the connection"))
        self._parser = h11.Connection(h11.CLIENT, HEAD_LIMIT)
        try:
            fields = [(b"Host", authority), *headers]
            if body is not None:
                fields.append((b"Content-Length", b"%d" % len(body)))
            sent = self._parser.send(h11.Request(method=method, target=target, headers=fields)) or b""
            if body:
                sent += self._parser.send(h11.Data(data=body)) or b""
            self._parser.send(_END)
        except h11.LocalProtocolError:
            self.abort()
            return fail(RequestGenerationFailed([Failure()]))
        exchange = self._exchange = _Exchange(self, self._used, method == b"HEAD")
        self._used = True
        if self._all_sent:
            self._all_sent = write_at_once(self._transport, sent)
        else:
            self._transport.write(sent)
        self.changed()
        return exchange.answering

    def close(self) -> None:
        """See `IOriginConnection`."""
        self._closing = True
        if self._exchange is None:
            self.abort()

    def abort(self) -> None:
        """See `IOriginConnection`."""
        if not (self._aborted or self.closed):
            self._aborted = True
            self._transport.abortConnection()
            self.changed()

    def pause(self, paused: bool) -> None:
        """Read no more bytes from the origin, or read again."""
        if not (self._aborted or self.closed):
            if paused:
                self._transport.pauseProducing()
            else:
                self._transport.resumeProducing()

    @property
    def _transport(self) -> Any:
        return self.transport

    def dataReceived(self, data: bytes) -> None:
        """Read what the origin has sent."""
        exchange = self._exchange
        if self._aborted:
            return
        if exchange is None:  # nobody has asked for anything
            self.abort()
            return
        if exchange.left is not None:
            self._deliver(exchange, data, False, False)
            return
        try:
            self._parser.receive_data(data)
            self._read(exchange, len(data))
        except h11.RemoteProtocolError:
            self._exchange = None
            self.abort()
            _fail(exchange, Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the request under way: as it should, or with a failure."""
        self.closed = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end()
            if exchange.response is None:
                if not exchange.answering.called:
                    exchange.answering.errback(exchange.failure(reason))
            elif exchange.left is None and self._ends_with_connection(reason):
                exchange.response.body_ended()
            else:
                exchange.response.body_ended(reason)
        self.changed()

    def _ends_with_connection(self, reason: Failure) -> bool:
        if self._aborted or not reason.check(ConnectionDone):
            return False
        try:
            self._parser.receive_data(b"")
            return type(self._parser.next_event()) is h11.EndOfMessage
        except h11.RemoteProtocolError:
            return False

    def _read(self, exchange: _Exchange, size: int) -> None:
        """Handle the events of one read, whose body goes to its reader in one piece."""
        began = ended = False
        body: list[bytes] = []
        if exchange.response is None:
            exchange.received += size
        while not ended:
            event = self._parser.next_event()
            kind = type(event)
            if kind is h11.Data:
                exchange.chunks.count(event)  # type: ignore[arg-type]
                body.append(bytes(event.data))  # type: ignore[union-attr]
            elif kind is h11.Response:
                began = True
                rest, _ = self._parser.trailing_data
                exchange.received -= len(rest)
                exchange.response = _response(event, exchange)
                if isinstance(exchange.response.length, int):
                    exchange.left = exchange.response.length
                    body.append(rest)
                    break
            elif kind is h11.EndOfMessage:
                ended = True
            elif kind is not h11.InformationalResponse:  # all bytes are read
                break
        if (began or exchange.response is None) and exchange.received > HEAD_LIMIT:
            raise h11.RemoteProtocolError("the head is too long")
        if exchange.response is not None:
            self._deliver(exchange, body[0] if len(body) == 1 else b"".join(body), began, ended)

    def _deliver(self, exchange: _Exchange, body: bytes, began: bool, ended: bool) -> None:
        """Pass on what one read has brought."""
        response: Any = exchange.response
        surplus = ended and bool(self._parser.trailing_data[0])
        if exchange.left is not None:
            surplus = len(body) > exchange.left
            body = body[: exchange.left]
            exchange.left -= len(body)
            ended = not exchange.left
        if ended:
            self._finish(exchange, surplus)
        if body:
            response.data_received(body)
        if ended:
            response.body_ended()
        if began:
            exchange.answering.callback(response)
        if ended:
            self.changed()
        elif began and not response.has_reader:
            self.pause(True)  # until somebody reads the body

    def _finish(self, exchange: _Exchange, surplus: bool) -> None:
        """The response is whole: keep the connection for another, or close it."""
        exchange.end()
        self._exchange = None
        # In another state than DONE the origin has said that it closes the connection, or speaks HTTP/1.0.
        if surplus or self._closing or self._parser.our_state is not h11.DONE:
            self.abort()
        else:
            self.pause(False)


def _response(event: Any, exchange: _Exchange) -> OriginResponse:
    headers = Headers()
    lengths, transfers = [], 0
    for raw_name, value in event.headers.raw_items():
        headers.addRawHeader(raw_name, value)
        name = raw_name.lower()
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            transfers += 1
    if transfers + bool(lengths) > 1:
        raise h11.RemoteProtocolError("the head frames the body twice")
    if any(len(length) > _LONGEST_LENGTH for length in lengths):
        raise h11.RemoteProtocolError("the head has an impossible Content-Length")
    length = 0 if exchange.bodiless or event.status_code in _NO_BODY else int(lengths[0]) if lengths else None
    major, minor = event.http_version.split(b".")
    return OriginResponse((b"HTTP", int(major), int(minor)), event.status_code, headers, length, exchange)


def _fail(exchange: _Exchange, reason: Failure) -> None:
    """Fail the request, or the body that is being read, because the origin breaks HTTP."""
    exchange.end()
    if exchange.response is not None and exchange.answering.called:
        exchange.response.body_ended(reason)
    elif not exchange.answering.called:
        exchange.answering.errback(ResponseFailed([reason]))
