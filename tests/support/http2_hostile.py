"""A connection over HTTP/2 to an origin that attacks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hyperframe.frame import Frame
from twisted.web.client import ResponseFailed

from imgforge.sources.http.http2_connection import Http2Connection
from imgforge.sources.http.http2_frames import FrameBudget
from imgforge.sources.http.origin_connection import NotSent
from tests.support.http2_origin import Http2Case
from tests.support.logged_lines import logged_lines

__all__ = ["FLOOD", "HostileCase", "unknown"]

# Frames of a kind that are too many, for two requests under way.
FLOOD = FrameBudget.BURST + 2 * FrameBudget.REQUEST + 1


def unknown(size: int = 0, kind: int = 0xBE) -> bytes:
    """A frame of a type that nobody knows."""
    return size.to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 0]) + bytes(size)


class HostileCase(Http2Case):
    """Attacks one connection."""

    def setUp(self) -> None:
        super().setUp()
        self.lines = logged_lines(self, Http2Connection.log.namespace)

    def assert_aborted(self, attack: Callable[[], Any], text: str = "", streams: int = 2) -> None:
        """*attack*, on a connection with *streams* requests under way, one of which has begun to be answered."""
        answers = [self.peer.get(b"/%d" % number) for number in range(streams)]
        if answers:
            self.peer.head(1)
        attack()
        self.assertTrue(self.peer.aborted)
        for answer in answers:
            self.assert_failed(answer, ResponseFailed, text)
        self.assertEqual((self.connection.free, self.connection.active), (0, 0))
        self.peer.raw(b"more")
        self.failureResultOf(self.connection.send(b"origin.example", b"/", []), NotSent)
        (line,) = self.lines
        self.assertIn(f"192.168.1.1:54321, on which {streams} requests fail: ", line)
        self.assertIn(text, line)

    def assert_survives(self, attack: Callable[[], Any]) -> None:
        answer = self.peer.get()
        self.peer.head(1)
        attack()
        self.peer.data(1, b"image", end_stream=True)
        self.assertTrue(answer.reader and answer.reader.complete)
        self.assertEqual(self.lines, [])

    def flood(self, frame: Frame | bytes, count: int = FLOOD) -> None:
        raw = frame if isinstance(frame, bytes) else frame.serialize()
        for _ in range(count // 100):
            self.peer.raw(raw * 100)
        self.peer.raw(raw * (count % 100))
