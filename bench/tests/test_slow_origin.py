"""The origin with a given latency, on a Clock (bench/slow_origin.py)."""

from __future__ import annotations

import pyvips
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from bench.pictures import draw_photo
from bench.slow_origin import NumberedOriginals, add_number


class SlowOriginTests(SynchronousTestCase):
    """Two pictures and a latency of 30 ms."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pictures = [draw_photo(40, 30, grain=1, quality=80), draw_photo(50, 30, grain=1, quality=80)]
        self.originals = NumberedOriginals(self.clock, self.pictures, 0.03)

    def get(self, *path: bytes) -> DummyRequest:
        request = DummyRequest(list(path))
        request.postpath = list(path)
        request.render(self.originals)
        return request

    def test_originals_arrive_after_the_latency_and_have_distinct_bytes(self) -> None:
        first, second = self.get(b"run", b"3.jpg"), self.get(b"run", b"5.jpg")
        self.clock.advance(0.029)
        self.assertEqual(first.written, [])
        self.clock.advance(0.002)
        (body,), (other,) = first.written, second.written
        self.assertNotEqual(body, other)
        self.assertEqual((first.finished, pyvips.Image.jpegload_buffer(body).width), (1, 50))
        self.assertEqual(self.get(b"count").written, [b"2"])

    def test_pending_answer_is_cancelled_when_the_client_disconnects(self) -> None:
        request = self.get(b"run", b"1.jpg")
        request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_number_in_a_jpeg_comment_does_not_change_the_pixels(self) -> None:
        picture = self.pictures[0]
        before, after = (pyvips.Image.jpegload_buffer(body).numpy() for body in (picture, add_number(picture, 77)))
        self.assertEqual(before.tobytes(), after.tobytes())
