"""Origins that throttle get fewer requests at once: additive increase, multiplicative decrease."""

from __future__ import annotations

from contextlib import ExitStack

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http.connection_limit import ConnectionLimit


class ThrottlingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = ConnectionLimit(self.clock, "images", 64)
        self.held: list[ExitStack] = []

    def acquire(self, origin: str = "s3://photos") -> Deferred[None]:
        held = ExitStack()
        self.held.append(held)
        return Deferred.fromCoroutine(self.limit.acquire(origin, held))

    def under_way(self, number: int) -> None:
        for _ in range(number):
            self.successResultOf(self.acquire())

    def test_half_of_the_requests_under_way_are_sent_at_once_from_then_on(self) -> None:
        self.under_way(40)
        self.limit.throttled("s3://photos", 0)
        self.assertEqual(self.limit.maximum("s3://photos"), 20)
        waiting = self.acquire()
        for held in self.held[:20]:
            held.close()
        self.assertNoResult(waiting)
        self.held[20].close()
        self.successResultOf(waiting)

    def test_an_origin_that_is_forgotten_gets_all_its_requests_again(self) -> None:
        self.under_way(2)
        self.limit.throttled("s3://photos", 0)
        waiting = self.acquire()
        self.assertNoResult(waiting)
        for number in range(1000):
            self.limit.throttled(f"s3://{number}", 0)
        self.successResultOf(waiting)

    def test_requests_that_were_under_way_together_halve_it_once(self) -> None:
        self.under_way(40)
        self.clock.advance(1)
        for _ in range(40):
            self.limit.throttled("s3://photos", 0.5)
        self.assertEqual(self.limit.maximum("s3://photos"), 20)
        self.clock.advance(1)
        self.limit.throttled("s3://photos", 1.5)
        self.assertEqual(self.limit.maximum("s3://photos"), 10)

    def test_there_is_always_one(self) -> None:
        self.under_way(1)
        for second in range(20):
            self.clock.advance(1)
            self.limit.throttled("s3://photos", second + 0.5)
        self.assertEqual(self.limit.maximum("s3://photos"), 1)

    def test_a_round_of_answers_brings_one_more_and_in_the_end_all(self) -> None:
        self.under_way(40)
        self.limit.throttled("s3://photos", 0)
        for _ in range(21):
            self.limit.answered("s3://photos")
        self.assertEqual(self.limit.maximum("s3://photos"), 21)
        for _ in range(64 * 64):
            self.limit.answered("s3://photos")
        self.assertEqual(self.limit.maximum("s3://photos"), 64)
        self.successResultOf(self.acquire())

    def test_more_requests_are_let_in_as_the_window_grows(self) -> None:
        self.under_way(2)
        self.limit.throttled("s3://photos", 0)
        self.held[0].close()
        waiting = self.acquire()
        self.assertNoResult(waiting)
        self.limit.answered("s3://photos")
        self.successResultOf(waiting)

    def test_other_origins_are_not_asked_less(self) -> None:
        self.under_way(40)
        self.limit.throttled("s3://photos", 0)
        self.assertEqual(self.limit.maximum("s3://music"), 64)

    def test_without_a_limit_an_origin_that_throttles_gets_one_for_a_while(self) -> None:
        self.limit = ConnectionLimit(self.clock, "images", 0)
        self.under_way(10)
        self.limit.throttled("s3://photos", 0)
        self.assertEqual(self.limit.maximum("s3://photos"), 5)
        for _ in range(600_000):
            self.limit.answered("s3://photos")
        self.assertEqual(self.limit.maximum("s3://photos"), 0)
