"""How far a store's clock is ahead: bounds from answers, whose times are in whole seconds and may be a second old."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.stores.store_skew import StoreSkew

NOW = 1_800_000_000.0


def date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


class SkewTests(SynchronousTestCase):
    @given(
        st.floats(-1e5, 1e5),
        st.lists(st.tuples(st.floats(0.001, 2), st.floats(-1, 1), st.floats(0, 20)), min_size=1, max_size=20),
    )
    def test_it_is_within_seconds_and_the_shortest_round_trip(
        self, ahead: float, answers: list[tuple[float, float, float]]
    ) -> None:
        skew, now = StoreSkew(), NOW
        for trip, part, pause in answers:
            skew.observe(date(int(now + (part if part < 0 else part * trip) + ahead)), now, now + trip)
            now += trip + pause
        shortest = min(trip for trip, _, _ in answers)
        self.assertLess(abs(skew.ahead - ahead), 2.5 + shortest + 0.001)

    def test_many_answers_narrow_it(self) -> None:
        skew, ahead = StoreSkew(), 57.3
        for number in range(50):
            now = NOW + number * 1.03
            skew.observe(date(int(now + 0.01 + ahead)), now, now + 0.02)
        self.assertLess(abs(skew.ahead - ahead), 1)

    def test_clocks_that_may_agree_are_taken_to(self) -> None:
        skew = StoreSkew()
        for number in range(50):
            now = NOW + number * 1.03
            skew.observe(date(int(now + 0.01 - number % 2)), now, now + 0.02)
            self.assertEqual(skew.ahead, 0)

    def test_a_clock_that_is_set_is_followed(self) -> None:
        skew = StoreSkew()
        skew.observe(date(NOW + 500), NOW, NOW + 0.1)
        self.assertGreater(skew.ahead, 498)
        skew.observe(date(NOW + 10), NOW + 10, NOW + 10.1)
        self.assertEqual(skew.ahead, 0)

    def test_what_is_no_time_is_ignored(self) -> None:
        skew = StoreSkew()
        for text in ("", "yesterday", "Fri, 31 Feb 2026 00:00:00 GMT", date(0), "Fri, 01 Jan 9999 00:00:00 GMT"):
            skew.observe(text, NOW, NOW)
        self.assertEqual(skew.ahead, 0)
