"""What a decoder process answers is not trusted."""

from __future__ import annotations

import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage
from imgforge.processing.isolation import parent
from imgforge.processing.isolation.pool import DecoderProcess


class AnswerTests(SynchronousTestCase):
    def test_pictures_of_no_size_or_of_too_many_bands_are_refused(self) -> None:
        for line in (b"-1 100 1", b"100 -1 1", b"0 1 3", b"1 1 5", b"1 1 -1"):
            with self.assertRaisesRegex(NotAnImage, "nonsense"):
                parent._pictures(memoryview(line + b"\n" + b"x" * 100))

    def test_an_answer_that_trickles_ends_at_the_time_limit(self) -> None:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.patch(parent, "_SECONDS", 0.2)
        theirs.sendall(b"x" * 1000)
        self.patch(parent, "_CHUNK", 1)
        moments = iter(range(100))
        self.patch(time, "monotonic", lambda: 0.05 * next(moments))
        with self.assertRaises(TimeoutError):
            parent._exchange(DecoderProcess(ours, 1, None), b"svg\n", b"")  # type: ignore[arg-type]
