"""An origin that speaks HTTP/2, in memory, driven frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, RequestReceived, StreamReset, WindowUpdated
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.iweb import IResponse

from imgforge.sources.http.http2_connection import Http2Connection

__all__ = ["Answer", "Http2Case", "Http2Peer", "Reader"]


class Reader(Protocol):
    """Reads a body; `end` is why it ended."""

    def __init__(self, paused: bool = False) -> None:
        self._chunks: list[bytes] = []
        self.end: Failure | None = None
        self.done: Deferred[bytes] = Deferred()
        self.on_data: Callable[[], None] = lambda: None
        self._paused = paused

    def connectionMade(self) -> None:
        if self._paused:
            self.control.pauseProducing()

    @property
    def control(self) -> Any:
        return self.transport

    @property
    def received(self) -> bytes:
        return b"".join(self._chunks)

    def dataReceived(self, data: bytes) -> None:
        self._chunks.append(data)
        self.on_data()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.end is None
        self.end = reason
        if reason.check(ResponseDone):
            self.done.callback(self.received)
        else:
            self.done.errback(reason)
            self.done.addErrback(lambda _: None)

    @property
    def complete(self) -> bool:
        """Whether the whole body has come."""
        return self.end is not None and self.end.check(ResponseDone) is not None


class Answer:
    """What a request came to: `response`, or `failure`; `reader` reads the body."""

    def __init__(self, deferred: Deferred[IResponse], reader: Reader | None) -> None:
        self.deferred = deferred
        self.reader = reader
        self.response: Any = None
        self.failure: Failure | None = None
        deferred.addCallbacks(self._responded, self._failed)

    def _responded(self, response: IResponse) -> None:
        self.response = response
        if self.reader is not None:
            response.deliverBody(self.reader)

    def _failed(self, failure: Failure) -> None:
        self.failure = failure

    @property
    def body(self) -> bytes | None:
        """The body if it is complete."""
        return self.reader.received if self.reader is not None and self.reader.complete else None

    @property
    def error(self) -> BaseException | None:
        """Why the request, or the body, failed."""
        failure = self.failure or (self.reader.end if self.reader else None)
        return failure.value if failure is not None else None


class Http2Peer:
    """A connection of imgforge and h2 as its server, in memory; `requests` are the fields of each stream.

    *settings* are those of the server at first, by the names of `SettingCodes` in lower case. While it is `silent` it
    sends nothing.
    """

    def __init__(self, silent: bool = False, **settings: int) -> None:
        self.silent = silent
        self.clock = Clock()
        self.transport = StringTransport()
        self.connection = Http2Connection(self.clock)
        self.states: list[tuple[int, int, bool]] = []
        self.connection.changed = self._changed
        self.server = H2Connection(
            H2Configuration(client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.requests: dict[int, list[tuple[bytes, bytes]]] = {}
        self.events: list[Event] = []
        initial = {SettingCodes[name.upper()]: value for name, value in settings.items()}
        self.server.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: 100, **initial}
        )
        self.server.initiate_connection()
        self.connection.makeConnection(self.transport)
        self.exchange()

    def _changed(self) -> None:
        self.states.append((self.connection.free, self.connection.active, self.connection.closed))

    def settings(self, **settings: int) -> None:
        """Change the server's settings."""
        self.server.update_settings({SettingCodes[name.upper()]: value for name, value in settings.items()})

    def exchange(self) -> None:
        """Carry bytes to and fro until both sides are silent."""
        while True:
            sent = self.transport.value()
            self.transport.clear()
            if sent:
                self.see(self.server.receive_data(sent))
            answer = b"" if self.silent else self.server.data_to_send()
            if answer:
                self.connection.dataReceived(answer)
            if not sent and not answer:
                return

    def see(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, RequestReceived):
                self.requests[event.stream_id] = list(event.headers)

    def get(self, target: bytes = b"/a.jpg", *headers: tuple[bytes, bytes], reader: Reader | None = None) -> Answer:
        """Send a request; without *reader*, one that takes everything."""
        answer = Answer(self.connection.send(b"origin.example", target, headers), reader or Reader())
        self.exchange()
        return answer

    def head(
        self, stream_id: int, *headers: tuple[bytes, bytes], status: bytes = b"200", end_stream: bool = False
    ) -> None:
        self.server.send_headers(stream_id, [(b":status", status), *headers], end_stream=end_stream)
        self.exchange()

    def data(self, stream_id: int, data: bytes = b"", end_stream: bool = False) -> None:
        """Send as many frames as it takes; the windows must have room."""
        size = self.server.max_outbound_frame_size
        chunks = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        for number, chunk in enumerate(chunks, 1):
            self.server.send_data(stream_id, chunk, end_stream=end_stream and number == len(chunks))
        self.exchange()

    def respond(self, stream_id: int, body: bytes = b"image") -> None:
        self.head(stream_id, (b"content-length", b"%d" % len(body)))
        self.data(stream_id, body, end_stream=True)

    def raw(self, *frames: Frame | bytes) -> None:
        """Send bytes that h2 would not."""
        data = b"".join(frame if isinstance(frame, bytes) else frame.serialize() for frame in frames)
        self.connection.dataReceived(data)

    def block(self, *fields: tuple[bytes, bytes]) -> bytes:
        """A header block, by the server's compressor."""
        return self.server.encoder.encode(fields)

    def lose(self, reason: BaseException) -> None:
        """The transport is gone."""
        self.connection.connectionLost(Failure(reason))

    @property
    def aborted(self) -> bool:
        return self.transport.disconnected

    @property
    def closing(self) -> bool:
        """Whether the connection has been closed in an orderly way."""
        return self.transport.disconnecting and not self.transport.disconnected

    def resets(self) -> dict[int, int]:
        """The error codes of streams that imgforge has reset."""
        return {event.stream_id: int(event.error_code or 0) for event in self.events if isinstance(event, StreamReset)}

    def goaways(self) -> int:
        """How many GOAWAYs imgforge has sent."""
        return sum(isinstance(event, ConnectionTerminated) for event in self.events)

    def window_updates(self, stream_id: int) -> int:
        """The bytes by which imgforge has opened a window."""
        updates = (event for event in self.events if isinstance(event, WindowUpdated))
        return sum(event.delta or 0 for event in updates if event.stream_id == stream_id)


class Http2Case(SynchronousTestCase):
    """Drives one connection."""

    def setUp(self) -> None:
        self.peer = Http2Peer()
        self.connection = self.peer.connection

    def assert_failed(self, answer: Answer, error: type[BaseException], text: str = "") -> None:
        """*answer* has failed with exactly *error*, whose text has *text*."""
        self.assertIsInstance(answer.error, error)
        self.assertIn(text, str(answer.error))
