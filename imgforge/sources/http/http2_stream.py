"""One request over HTTP/2, and its response under the back-pressure of whoever reads the body."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol as Shape

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed
from twisted.web.iweb import IResponse

from imgforge.sources.http.http2_frames import Http2Error
from imgforge.sources.http.http2_headers import LARGEST_HEAD, read_head, size_of_fields
from imgforge.sources.http.origin_connection import NotSent
from imgforge.sources.http.origin_response import OriginResponse

__all__ = ["Http2ResponseFailed", "Http2Stream", "MalformedResponse", "StreamOwner", "error_name", "failed"]

_MOST_INTERIM_RESPONSES = 10
_SMALL = 4096  # bytes of unread data to which more is joined: a piece by itself takes a hundred
_VERSION = (b"HTTP", 2, 0)


class MalformedResponse(Http2Error):
    """A response breaks HTTP: its stream is reset, the connection goes on."""


class Http2ResponseFailed(ResponseFailed):
    """`ResponseFailed` whose text is that of its reasons."""

    def __str__(self) -> str:
        return "; ".join(str(reason.value) for reason in self.reasons)


def failed(cause: BaseException) -> Failure:
    """The failure of a response for *cause*."""
    return Failure(Http2ResponseFailed([Failure(cause)]))


def error_name(code: int | None) -> str:
    """The name of an error code of HTTP/2."""
    return next((known.name for known in ErrorCodes if known == code), str(code))


class StreamOwner(Shape):
    """What a connection does for its streams."""

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Open the flow-control windows by *size* bytes, that have been read or dropped."""

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Tell the origin that the rest of a response is not wanted."""

    def given_up(self, stream: Http2Stream) -> None:
        """Nobody waits for the response of *stream* any more."""

    def ended(self, stream: Http2Stream) -> None:
        """*stream* is over; called once."""


class Http2Stream:
    """A request under way: `answer` fires with the response when its head is there.

    Data waits here, unacknowledged, while the reader pauses; the stream's flow-control window bounds it. The stream is
    over when the reader has got everything, when it failed, or when the response was given up.
    """

    def __init__(self, owner: StreamOwner, clock: IReactorTime, bodiless: bool = False) -> None:
        self._bodiless = bodiless  # whether no response to the request has a body
        self.stream_id = 0  # until the request is sent
        self.reads_before = 0  # how often the connection had received anything by then
        self.answer: Deferred[IResponse] = Deferred(lambda _: self.abandon_body())
        self._owner = owner
        self._clock = clock
        self._head_size = 0
        self._interim_responses = 0
        self._response: OriginResponse | None = None
        self._missing: int | None = None  # bytes of the body still to come, where its length is known
        self._unread: deque[tuple[bytes, int]] = deque()
        self._paused = True
        self._delivering = False
        self._complete = False  # the origin has sent everything
        self._over = False

    @property
    def has_head(self) -> bool:
        """Whether the head of the response has come."""
        return self._response is not None

    def receive(self, event: Event) -> None:
        """Handle what the origin has sent; `MalformedResponse` if it may not."""
        if isinstance(event, DataReceived):
            self._data_received(event.data, event.flow_controlled_length)
        elif isinstance(event, ResponseReceived):
            self._head_received(event.headers, event.stream_ended is not None)
        elif isinstance(event, StreamEnded):
            self._end_received()
        elif isinstance(event, InformationalResponseReceived):
            self._interim_received(event.headers)
        elif isinstance(event, TrailersReceived):
            self._count(event.headers)
        elif isinstance(event, StreamReset):
            self._reset_received(event.error_code)

    def _interim_received(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._interim_responses += 1
        if self._interim_responses > _MOST_INTERIM_RESPONSES:
            raise MalformedResponse("too many interim responses")
        self._count(fields)

    def _head_received(self, fields: Sequence[tuple[bytes, bytes]], ends_stream: bool) -> None:
        self._count(fields)
        try:
            head = read_head(fields)
        except ValueError as error:
            raise MalformedResponse(str(error)) from None
        bodiless = head.bodiless or self._bodiless
        self._missing = length = 0 if bodiless else head.length
        if ends_stream and self._missing:
            raise MalformedResponse("the body is shorter than its Content-Length")
        self._response = OriginResponse(_VERSION, head.status, head.headers, 0 if ends_stream else length, self)
        if bodiless and not ends_stream:
            # h2 would hold the length that a 304 names against the empty frame that ends it.
            self._owner.reset(self.stream_id, ErrorCodes.CANCEL)
            self._complete = True
        self.answer.callback(self._response)
        self._deliver()

    def check_data(self, size: int, ends_stream: bool) -> None:
        """`MalformedResponse` if *size* bytes more of the body contradict its length. To be asked before h2 is."""
        if self._missing is None:
            return
        if size > self._missing:
            raise MalformedResponse("the body is longer than its Content-Length")
        if ends_stream and size < self._missing:
            raise MalformedResponse("the body is shorter than its Content-Length")

    def _data_received(self, data: bytes, flow_controlled: int) -> None:
        if self._missing is not None:
            self._missing -= len(data)
        if self._unread and len(self._unread[-1][0]) < _SMALL:
            before, taken = self._unread.pop()
            data, flow_controlled = before + data, taken + flow_controlled
        self._unread.append((data, flow_controlled))
        self._deliver()

    def _end_received(self) -> None:
        if self._missing:
            raise MalformedResponse("the body is shorter than its Content-Length")
        self._complete = True
        self._deliver()

    def _reset_received(self, code: int | None) -> None:
        if code == ErrorCodes.REFUSED_STREAM and not self.has_head:
            self.fail(Failure(NotSent("the origin refused the stream")))
        else:
            self.fail(failed(Http2Error(f"the origin reset the stream: {error_name(code)}")))

    def fail(self, reason: Failure) -> None:
        """The response fails for *reason*, unless it is here already."""
        if self._over or self._complete:
            return
        self._finish()
        if self._response is None:
            self.answer.errback(reason)
        else:
            self._response.body_ended(reason)

    def pause_body(self) -> None:
        """See `BodyControl`."""
        self._paused = True

    def resume_body(self) -> None:
        """See `BodyControl`."""
        self._paused = False
        self._deliver()

    def abandon_body(self) -> None:
        """See `BodyControl`. The reader is told in another turn of the reactor, as by a TCP connection."""
        if self._over:
            return
        if not self._complete:
            self._owner.given_up(self)
        self._finish()
        if self._response is not None:
            self._clock.callLater(0, self._response.body_ended, failed(ConnectionAborted()))

    def _count(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._head_size += size_of_fields(fields)
        if self._head_size > LARGEST_HEAD:
            raise MalformedResponse(f"the head has more than {LARGEST_HEAD} bytes")

    def _deliver(self) -> None:
        """Hand on what is there until the reader pauses."""
        if self._delivering or self._over or self._response is None:
            return
        self._delivering = True
        try:
            while self._unread and not self._paused:
                data, flow_controlled = self._unread.popleft()
                self._owner.acknowledge(self.stream_id, flow_controlled)
                if data:
                    self._response.data_received(data)
        finally:
            self._delivering = False
        if self._complete and not self._unread and not self._over:
            self._finish()
            self._response.body_ended()

    def _finish(self) -> None:
        self._over = True
        dropped = sum(flow_controlled for _, flow_controlled in self._unread)
        self._unread.clear()
        if dropped:
            self._owner.acknowledge(self.stream_id, dropped)
        self._owner.ended(self)
