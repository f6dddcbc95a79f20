"""The rate limit lets a minute's requests through, and tells the rest when to come again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import Overloaded
from imgforge.web import RateLimit


class RateLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rate = RateLimit(60, self.clock.seconds)

    def passed(self, tries: int) -> int:
        """How many of *tries* get through."""
        count = 0
        for _ in range(tries):
            try:
                self.rate.check()
            except Overloaded:
                continue
            count += 1
        return count

    def test_a_minutes_worth_gets_through_at_once(self) -> None:
        self.assertEqual(self.passed(100), 60)

    def test_tokens_come_back_evenly_and_not_beyond_a_minutes_worth(self) -> None:
        self.passed(100)
        self.clock.advance(10)
        self.assertEqual(self.passed(100), 10)
        self.clock.advance(10_000)
        self.assertEqual(self.passed(100), 60)

    def test_the_refusal_says_when_to_come_again(self) -> None:
        rate = RateLimit(6, self.clock.seconds)
        for _ in range(6):
            rate.check()
        with self.assertRaises(Overloaded) as caught:
            rate.check()
        self.assertEqual(caught.exception.retry_after, 10)

    def test_zero_is_unlimited(self) -> None:
        self.rate = RateLimit(0, self.clock.seconds)
        self.assertEqual(self.passed(1000), 1000)
