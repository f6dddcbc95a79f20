"""Rate limits admit a minute's requests, and name the seconds to wait for the others."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import Overloaded, RateExceeded
from imgforge.web import ClientRates, RateLimit


class RateLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rate = RateLimit(60, self.clock.seconds)

    def admitted(self, tries: int) -> int:
        """How many of *tries* are admitted."""
        count = 0
        for _ in range(tries):
            try:
                self.rate.check()
            except Overloaded:
                continue
            count += 1
        return count

    def test_minutes_worth_is_admitted_at_once(self) -> None:
        self.assertEqual(self.admitted(100), 60)

    def test_bucket_fills_evenly_up_to_a_minutes_worth(self) -> None:
        self.admitted(100)
        self.clock.advance(10)
        self.assertEqual(self.admitted(100), 10)
        self.clock.advance(10_000)
        self.assertEqual(self.admitted(100), 60)

    def test_error_has_the_seconds_until_the_next_token(self) -> None:
        rate = RateLimit(6, self.clock.seconds)
        for _ in range(6):
            rate.check()
        with self.assertRaises(Overloaded) as caught:
            rate.check()
        self.assertEqual(caught.exception.retry_after, 10)

    def test_zero_is_unlimited(self) -> None:
        self.rate = RateLimit(0, self.clock.seconds)
        self.assertEqual(self.admitted(1000), 1000)


class ClientRatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000.3)
        self.rates = ClientRates(60, self.clock.seconds, most=100)

    def admitted(self, tries: int, client: bytes = b"a") -> int:
        """How many of *tries* are admitted."""
        count = 0
        for _ in range(tries):
            try:
                self.rates.check(client)
            except RateExceeded:
                continue
            count += 1
        return count

    def test_each_client_has_a_minutes_worth_that_fills_evenly(self) -> None:
        self.assertEqual((self.admitted(100), self.admitted(100, b"b")), (60, 60))
        self.clock.advance(10)
        self.assertEqual(self.admitted(100), 10)
        self.clock.advance(10_000)
        self.assertEqual(self.admitted(100), 60)

    def test_any_rate_admits_its_number_of_requests(self) -> None:
        for per_minute in (1, 7, 1000, 59):
            self.rates = ClientRates(per_minute, self.clock.seconds)
            self.assertEqual(self.admitted(3000), per_minute)
        self.rates = ClientRates(0.25, self.clock.seconds)  # one process of four
        self.assertEqual(self.admitted(9), 1)
        self.clock.advance(239)
        self.assertEqual(self.admitted(9), 0)
        self.clock.advance(1.1)
        self.assertEqual(self.admitted(9), 1)

    def test_error_has_the_seconds_until_the_next_token(self) -> None:
        self.rates = ClientRates(6, self.clock.seconds)
        self.admitted(6)
        self.clock.advance(3)
        with self.assertRaises(RateExceeded) as caught:
            self.rates.check(b"a")
        self.assertEqual(caught.exception.retry_after, 7)
        self.clock.advance(7)
        self.assertEqual(self.admitted(5), 1)

    def test_number_of_clients_is_bounded_and_the_active_ones_stay(self) -> None:
        self.admitted(60, b"busy")
        for number in range(1000):
            self.rates.check(b"%d" % number)
            self.assertEqual(self.admitted(1, b"busy"), 0)
            self.assertLessEqual(len(self.rates), 100)
        self.assertEqual(self.admitted(100, b"999"), 59)

    def test_client_with_a_full_bucket_is_forgotten(self) -> None:
        for number in range(50):
            self.rates.check(b"%d" % number)
        self.clock.advance(2)
        for _ in range(50):
            self.rates.check(b"again")
        self.assertEqual(len(self.rates), 1)

    def test_clock_that_is_set_back_locks_no_client_out(self) -> None:
        self.admitted(60)
        self.clock.rightNow -= 3600
        self.assertEqual(self.admitted(10), 0)
        self.clock.advance(5)
        self.assertEqual(self.admitted(10), 5)

    def test_zero_is_unlimited_and_stores_no_client(self) -> None:
        self.rates = ClientRates(0, self.clock.seconds)
        self.assertEqual((self.admitted(1000), len(self.rates)), (1000, 0))
