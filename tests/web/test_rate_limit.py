"""The rate limit lets a minute's requests through, and tells the rest when to come again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import Overloaded, RateExceeded
from imgforge.web import ClientRates, RateLimit


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


class ClientRatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000.3)
        self.rates = ClientRates(60, self.clock.seconds, most=100)

    def passed(self, tries: int, client: bytes = b"a") -> int:
        """How many of *tries* get through."""
        count = 0
        for _ in range(tries):
            try:
                self.rates.check(client)
            except RateExceeded:
                continue
            count += 1
        return count

    def test_each_has_a_minutes_worth_at_once_and_it_comes_back_evenly(self) -> None:
        self.assertEqual((self.passed(100), self.passed(100, b"b")), (60, 60))
        self.clock.advance(10)
        self.assertEqual(self.passed(100), 10)
        self.clock.advance(10_000)
        self.assertEqual(self.passed(100), 60)

    def test_any_rate_lets_as_many_through_as_it_says(self) -> None:
        for per_minute in (1, 7, 1000, 59):
            self.rates = ClientRates(per_minute, self.clock.seconds)
            self.assertEqual(self.passed(3000), per_minute)
        self.rates = ClientRates(0.25, self.clock.seconds)  # one process of four
        self.assertEqual(self.passed(9), 1)
        self.clock.advance(239)
        self.assertEqual(self.passed(9), 0)
        self.clock.advance(1.1)
        self.assertEqual(self.passed(9), 1)

    def test_the_refusal_says_when_to_come_again(self) -> None:
        self.rates = ClientRates(6, self.clock.seconds)
        self.passed(6)
        self.clock.advance(3)
        with self.assertRaises(RateExceeded) as caught:
            self.rates.check(b"a")
        self.assertEqual(caught.exception.retry_after, 7)
        self.clock.advance(7)
        self.assertEqual(self.passed(5), 1)

    def test_only_so_many_clients_are_remembered_those_who_ask_before_others(self) -> None:
        self.passed(60, b"loud")
        for number in range(1000):
            self.rates.check(b"%d" % number)
            self.assertEqual(self.passed(1, b"loud"), 0)
            self.assertLessEqual(len(self.rates), 100)
        self.assertEqual(self.passed(100, b"999"), 59)

    def test_who_is_full_again_is_not_remembered(self) -> None:
        for number in range(50):
            self.rates.check(b"%d" % number)
        self.clock.advance(2)
        for _ in range(50):
            self.rates.check(b"again")
        self.assertEqual(len(self.rates), 1)

    def test_a_clock_that_is_put_back_locks_nobody_out(self) -> None:
        self.passed(60)
        self.clock.rightNow -= 3600
        self.assertEqual(self.passed(10), 0)
        self.clock.advance(5)
        self.assertEqual(self.passed(10), 5)

    def test_zero_is_unlimited_and_remembers_nobody(self) -> None:
        self.rates = ClientRates(0, self.clock.seconds)
        self.assertEqual((self.passed(1000), len(self.rates)), (1000, 0))
