"""Cuts what an origin sends over HTTP/2 into frames, and bounds those that bring nothing (RFC 9113, section 10.5).

The library h2 gets one frame at a time, for three reasons: frames of which it makes no event can be counted as well; a
malformed frame does not take the events of those before it along; and it never sees a GOAWAY, after which it would
accept nothing, although the origin still answers the streams that it has begun.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

__all__ = ["LARGEST_FRAME", "Frame", "FrameBudget", "FrameSplitter", "FrameType", "Http2Error"]

LARGEST_FRAME = 16 * 1024  # bytes of payload: SETTINGS_MAX_FRAME_SIZE
_LONGEST_HEADER_BLOCK = 64 * 1024  # compressed bytes: HEADERS with its CONTINUATIONs
_SETTINGS_OF_A_FRAME = 32
_SETTINGS_OF_A_CONNECTION = 1024  # h2 keeps each identifier that it was sent

_HEADER = Struct(">HBBBL")  # length (16 bits and 8 bits), type, flags, stream
_HEADER_SIZE = 9
_STREAM_BITS = 0x7FFFFFFF
_ACK = END_STREAM = 0x1
_END_HEADERS = 0x4
_PADDED = 0x8


class Http2Error(Exception):
    """The origin breaks HTTP/2 or floods the connection, which is of no more use."""


class FrameType(IntEnum):
    """The types that this package looks at."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Frame(NamedTuple):
    """A whole frame."""

    type: int
    flags: int
    stream_id: int
    raw: bytes  # with its header

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.raw) - _HEADER_SIZE

    @property
    def data_size(self) -> int:
        """Bytes of a DATA frame without padding; below 0 where the padding is too long, which h2 refuses."""
        if not self.flags & _PADDED or not self.size:
            return self.size
        return self.size - 1 - self.raw[_HEADER_SIZE]

    @property
    def ends_stream(self) -> bool:
        """Whether a DATA frame is the last of its stream."""
        return bool(self.flags & END_STREAM)

    def goaway(self) -> tuple[int, int]:
        """The last stream that the origin answers, and the error code, of a GOAWAY frame."""
        if self.size < 8 or self.stream_id:
            raise Http2Error("malformed GOAWAY")
        payload = self.raw[_HEADER_SIZE:]
        return int.from_bytes(payload[:4], "big") & _STREAM_BITS, int.from_bytes(payload[4:8], "big")


class FrameSplitter:
    """Cuts bytes into frames; `Http2Error` for those that no server sends to a client that refuses pushes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False  # whether the server's SETTINGS have come
        self._block_stream = 0  # the stream whose header block is not complete
        self._block_size = 0
        self._settings = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next frame, or None where it is not complete."""
        buffer = self._buffer
        if len(buffer) < _HEADER_SIZE:
            return None
        high, low, kind, flags, stream_id = _HEADER.unpack_from(buffer)
        size = high << 8 | low
        stream_id &= _STREAM_BITS
        self._check(size, kind, flags, stream_id)
        end = _HEADER_SIZE + size
        if len(buffer) < end:
            return None
        raw = bytes(buffer[:end])
        del buffer[:end]
        if kind in (FrameType.HEADERS, FrameType.CONTINUATION):
            self._block_stream = 0 if flags & _END_HEADERS else stream_id
            self._block_size = self._block_size + size if self._block_stream else 0
        elif kind == FrameType.SETTINGS:
            self._started = True
            self._settings += size // 6
        return Frame(kind, flags, stream_id, raw)

    def _check(self, size: int, kind: int, flags: int, stream_id: int) -> None:
        if not self._started and (kind != FrameType.SETTINGS or flags & _ACK):
            raise Http2Error("the first bytes are no SETTINGS frame of HTTP/2")
        if size > LARGEST_FRAME:
            raise Http2Error(f"a frame of {size} bytes")
        if stream_id and not stream_id % 2:
            raise Http2Error("a frame of a stream that no client opens")
        if (kind == FrameType.CONTINUATION) != bool(self._block_stream) or self._block_stream not in (0, stream_id):
            raise Http2Error("a header block is interrupted")
        if kind in (FrameType.HEADERS, FrameType.CONTINUATION) and self._block_size + size > _LONGEST_HEADER_BLOCK:
            raise Http2Error(f"a header block of more than {_LONGEST_HEADER_BLOCK} bytes")
        if kind == FrameType.SETTINGS and (
            size > 6 * _SETTINGS_OF_A_FRAME or self._settings + size // 6 > _SETTINGS_OF_A_CONNECTION
        ):
            raise Http2Error("too many settings")


class FrameBudget:
    """How many frames that bring nothing an origin may send: a token bucket.

    It holds 1,000 tokens at first, and 100 more each second up to that. A request earns 10, and one given up 256, for
    the frames of it that are still on the way, up to 20,000. A frame costs one token; but DATA of an open stream that
    brings 64 bytes or ends the stream costs none, nor does a HEADERS frame, whose size `Http2Stream` bounds; SETTINGS
    cost 10, as do headers of a stream that is over; a reset before the head of a response costs 20, so that an origin
    that resets all it is asked for runs out of them.
    """

    BURST = 1_000
    PER_SECOND = 100
    MOST = 20_000
    REQUEST = 10
    GIVEN_UP = 256
    SETTINGS = 10

    _SUBSTANTIAL = 64  # bytes of data
    _LATE_HEADERS = 10
    _EARLY_RESET = 20

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._tokens: float = self.BURST
        self._filled = clock.seconds()

    def earn(self, tokens: int) -> None:
        """Allow *tokens* more frames."""
        self._tokens = min(self._tokens + tokens, self.MOST)

    def spend(self, frame: Frame, under_way: bool, has_head: bool) -> None:
        """Pay for *frame*; `Http2Error` if the origin has no tokens left.

        *under_way* says whether its stream is, *has_head* whether the response's head has come.
        """
        cost = self._cost(frame, under_way, has_head)
        if not cost:
            return
        now = self._clock.seconds()
        if self._tokens < self.BURST:
            self._tokens = min(self._tokens + (now - self._filled) * self.PER_SECOND, self.BURST)
        self._filled = now
        if cost > self._tokens:
            raise Http2Error("a flood of frames that bring nothing")
        self._tokens -= cost

    def _cost(self, frame: Frame, under_way: bool, has_head: bool) -> int:
        if frame.type == FrameType.DATA:
            return 0 if under_way and (frame.ends_stream or frame.data_size >= self._SUBSTANTIAL) else 1
        if frame.type == FrameType.HEADERS:
            return 0 if under_way else self._LATE_HEADERS
        if frame.type == FrameType.RST_STREAM:
            return self._EARLY_RESET if under_way and not has_head else 1
        return self.SETTINGS if frame.type == FrameType.SETTINGS else 1
