"""A connection to an origin over HTTP/2 (RFC 9113), on the sans-I/O library h2.

Each request is a stream of its own, with a flow-control window of 1 MiB that opens as its reader takes data. The window
of the connection has room for all of these, so that readers that pause hold up nobody else. What the origin does to one
stream fails that response; what it does to the connection (see `FrameSplitter`, `FrameBudget`) ends the connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RemoteSettingsChanged
from h2.exceptions import H2Error, NoAvailableStreamIDError, StreamClosedError
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse
from zope.interface import implementer

from imgforge.sources.http.http2_frames import Frame, FrameBudget, FrameSplitter, FrameType, Http2Error
from imgforge.sources.http.http2_headers import request_fields
from imgforge.sources.http.http2_settings import MOST_STREAMS, client_state_machine, limit_header_table
from imgforge.sources.http.http2_stream import Http2Stream, MalformedResponse, error_name, failed
from imgforge.sources.http.http2_transport import Http2Transport
from imgforge.sources.http.origin_connection import IOriginConnection, NotSent

__all__ = ["Http2Connection"]

_PING = b"imgforge"
_PING_TIMEOUT = 5.0
_LONGEST_TEXT = 120  # characters of an error of h2


@implementer(IOriginConnection)
class Http2Connection(Protocol):
    """See `IOriginConnection`. The preface and SETTINGS go out as soon as the transport is there."""

    log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.closed = self.settled = False
        self._clock = clock
        self._h2 = client_state_machine()
        self._frames = FrameSplitter()
        self._budget = FrameBudget(clock)
        self._streams: dict[int, Http2Stream] = {}
        # Requests that are not sent yet: until the origin's SETTINGS say how many it takes at once, it gets one.
        self._held: deque[tuple[Http2Stream, list[tuple[bytes, bytes]], bytes]] = deque()
        self._allowed = 1
        self._wire: Http2Transport | None = None
        self._closing = False  # no more requests are sent
        self._ended = False  # nothing more is sent or read
        self._receiving = False
        self._reads = 0  # how often anything was received
        self._answered = False  # whether any response has come
        self._ping: IDelayedCall | None = None
        self._told = (0, 0, False, False)  # what the pool knows

    @property
    def free(self) -> int:
        """See `IOriginConnection`."""
        if self._closing or self._wire is None or self._wire.full:
            return 0
        allowed = min(self._h2.remote_settings.max_concurrent_streams, MOST_STREAMS)
        return max(0, allowed - self.active)

    @property
    def active(self) -> int:
        """See `IOriginConnection`. A response counts until its reader has it, since it takes memory until then."""
        return len(self._streams) + len(self._held)

    def connectionMade(self) -> None:
        self._wire = Http2Transport(self.transport, self._clock, self._settle)
        self._settle()

    def send(
        self,
        authority: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | None = None,
        method: bytes = b"GET",
    ) -> Deferred[IResponse]:
        """See `IOriginConnection`; `ValueError` for a target or a header that no request can have."""
        if not self.free:
            return fail(NotSent("the connection takes no more requests"))
        try:
            fields = request_fields(method, authority, target, headers)
        except ValueError as error:
            return fail(error)
        stream = Http2Stream(self, self._clock, bodiless=method == b"HEAD")
        self._held.append((stream, fields, body or b""))
        self._settle()
        return stream.answer

    def close(self) -> None:
        """See `IOriginConnection`."""
        self._closing = True
        self._settle()

    def abort(self) -> None:
        """See `IOriginConnection`."""
        self._end(ConnectionAborted(), False)
        self._settle()

    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        self._reads += 1
        self._stop_ping()
        self._frames.feed(data)
        self._receiving = True
        try:
            while not self._ended and (frame := self._frames.next()) is not None:
                self._receive(frame)
        except Http2Error as error:
            self._break(error)
        except H2Error as error:  # its text may quote all that the origin sent
            self._break(Http2Error(str(error)[:_LONGEST_TEXT] or type(error).__name__))
        finally:
            self._receiving = False
        self._settle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = True
        if self._wire is not None:
            self._wire.lost()
        self._end(reason.value or ConnectionLost(), True)
        self._settle()

    # What streams ask for: see `StreamOwner`.

    def acknowledge(self, stream_id: int, size: int) -> None:
        if not self._ended:
            self._h2.acknowledge_received_data(size, stream_id)
            self._settle()

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        if self._ended:
            return
        try:
            self._h2.reset_stream(stream_id, code)
        except StreamClosedError:
            return  # the origin has ended or reset it
        self._budget.earn(FrameBudget.GIVEN_UP)

    def given_up(self, stream: Http2Stream) -> None:
        """Where the origin has sent nothing at all since the request, the connection may be dead: a PING finds out."""
        if not stream.stream_id:
            return
        self.reset(stream.stream_id, ErrorCodes.CANCEL)
        if stream.reads_before == self._reads and self._ping is None and not self._ended:
            self._h2.ping(_PING)
            self._ping = self._clock.callLater(_PING_TIMEOUT, self._ping_unanswered)

    def ended(self, stream: Http2Stream) -> None:
        if self._streams.pop(stream.stream_id, None) is None:
            self._held = deque(held for held in self._held if held[0] is not stream)
        self._settle()

    def _send_held(self) -> None:
        while self._held and len(self._streams) < self._allowed:
            stream, fields, body = self._held.popleft()
            try:
                stream_id = self._h2.get_next_available_stream_id()
            except NoAvailableStreamIDError as error:  # 2**30 requests have been sent
                self._closing = True
                stream.fail(Failure(NotSent(str(error))))
                continue
            self._h2.send_headers(stream_id, fields, end_stream=not body)
            if body:  # it is short: a window is 64 KiB at first
                self._h2.send_data(stream_id, body, end_stream=True)
            stream.stream_id, stream.reads_before = stream_id, self._reads
            self._streams[stream_id] = stream
            self._budget.earn(FrameBudget.REQUEST)

    # What the origin sends.

    def _receive(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream_id)
        self._budget.spend(frame, stream is not None, stream is not None and stream.has_head)
        if frame.type == FrameType.GOAWAY:
            self._goaway(*frame.goaway())
            return
        if stream is not None and frame.type == FrameType.DATA:
            try:
                stream.check_data(frame.data_size, frame.ends_stream)
            except MalformedResponse as error:
                self._refuse(stream, error)
        for event in self._h2.receive_data(frame.raw):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        if isinstance(event, RemoteSettingsChanged):
            limit_header_table(self._h2)
            self._allowed = min(self._h2.remote_settings.max_concurrent_streams, MOST_STREAMS)
            self.settled = True
            return
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            if isinstance(event, DataReceived):  # of a stream that the origin disclaimed by GOAWAY
                self.acknowledge(event.stream_id, event.flow_controlled_length)
            return
        try:
            stream.receive(event)
            self._answered = self._answered or stream.has_head
        except MalformedResponse as error:
            self._refuse(stream, error)

    def _refuse(self, stream: Http2Stream, error: MalformedResponse) -> None:
        self.reset(stream.stream_id, ErrorCodes.PROTOCOL_ERROR)
        stream.fail(failed(error))

    def _goaway(self, last: int, code: int) -> None:
        if code != ErrorCodes.NO_ERROR and not self._closing:
            self.log.info("{origin} ends the HTTP/2 connection: {code}", origin=self._origin(), code=error_name(code))
        self._closing = True
        refused = [stream for stream in self._streams.values() if stream.stream_id > last]
        for stream in [*refused, *(held[0] for held in self._held)]:
            stream.fail(Failure(NotSent("the origin ends the connection")))

    # The end.

    def _ping_unanswered(self) -> None:
        self._ping = None
        self._break(Http2Error(f"nothing came for {_PING_TIMEOUT:g} seconds after a PING"), dead=True)
        self._settle()

    def _break(self, error: Http2Error, dead: bool = False) -> None:
        self.log.warn(
            "aborted the HTTP/2 connection to {origin}, on which {count} requests fail: {error}",
            origin=self._origin(),
            count=self.active,
            error=error,
        )
        self._end(error, dead)

    def _end(self, cause: BaseException, dead: bool) -> None:
        """Abort the connection. Requests under way fail for *cause*.

        If it is *dead*, and was in use before, a request after which nothing came was sent too late to be seen: it is
        sent again, as over HTTP/1.1.
        """
        if not self._ended:
            self._closing = self._ended = True
            self._stop_ping()
            if self._wire is not None and not self.closed:
                self._wire.abort()
        for stream, *_ in list(self._held):
            stream.fail(Failure(NotSent(str(cause))))
        for stream in list(self._streams.values()):
            unseen = dead and self._answered and stream.reads_before == self._reads
            stream.fail(Failure(NotSent(str(cause))) if unseen else failed(cause))

    def _settle(self) -> None:
        """Send what h2 has to send, close if that is due, and tell the pool what has changed."""
        if self._receiving:
            return
        if self._wire is not None and not self._ended:
            self._send_held()
            if self._closing and not self.active:
                self._h2.close_connection()
            try:
                if sent := self._h2.data_to_send():
                    self._wire.write(sent)
            except Http2Error as error:
                self._break(error)
            if self._closing and not self.active and not self._ended:
                self._ended = True
                self._stop_ping()
                self._wire.close()
        state = (self.free, self.active, self.settled, self.closed)
        if state != self._told:
            self._told = state
            self.changed()

    def _stop_ping(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None

    def _origin(self) -> str:
        return self._wire.origin if self._wire is not None else "an origin"
