"""How long an origin may be silent in the middle of a body."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http.silence_limit import SilenceLimit


class SilenceLimitTests(SynchronousTestCase):
    """Two seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.late: list[float] = []
        self.limit = SilenceLimit(self.clock, 2)
        self.limit.late = self.late.append

    def test_silence_is_counted_from_the_last_bytes(self) -> None:
        self.limit.start()
        for _ in range(5):
            self.clock.advance(1.9)
            self.limit.heard()
        self.assertEqual(self.late, [])
        self.clock.pump((1.9, 0.2, 10))
        self.assertEqual(self.late, [2])

    def test_nothing_is_counted_while_the_origin_has_to_wait(self) -> None:
        self.limit.start()
        self.limit.stop()
        self.limit.heard()
        self.clock.advance(60)
        self.assertEqual((self.late, self.clock.getDelayedCalls()), ([], []))
        self.limit.start()
        self.clock.advance(2)
        self.assertEqual(self.late, [2])
