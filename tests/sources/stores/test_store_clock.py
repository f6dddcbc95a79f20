"""Clocks of stores that differ from this machine's."""

from __future__ import annotations

from email.utils import formatdate

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.sources.http import OriginRequest, Refusal
from imgforge.sources.stores.store_clock import StoreClock
from tests.support.logged_lines import logged_lines

NOW = 1_700_000_000.0


class StoreClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = logged_lines(self, "StoreClock")
        self.machine = Clock()
        self.machine.advance(NOW)
        self.clock = StoreClock("s3", self.machine.seconds)

    def corrected(self, date: str, sent: float = NOW) -> bool:
        return self.clock.correct(Refusal(OriginRequest("http://x", {}), 403, {"date": date}, b""), sent)

    def test_requests_that_were_sent_together_are_corrected_together_and_logged_once(self) -> None:
        for _ in range(3):
            self.assertTrue(self.corrected(formatdate(NOW + 3600, usegmt=True)))
        self.assertEqual(self.clock.seconds(), NOW + 3600)
        (line,) = self.lines
        self.assertIn("s3: the clock of this machine is off by -3600 s from the store's", line)

    def test_a_request_with_the_stores_time_is_not_refused_for_its_time(self) -> None:
        self.corrected(formatdate(NOW + 3600, usegmt=True))
        self.assertFalse(self.corrected(formatdate(NOW + 3610, usegmt=True), self.clock.seconds()))
        self.assertEqual(self.clock.seconds(), NOW + 3600)

    def test_dates_that_are_none_correct_nothing(self) -> None:
        for date in ("", "yesterday", "Fri, 32 Jan 2023 99:99:99 GMT", "x" * 100_000, "Mon, 01 Jan 99999 0:0:0 GMT",
                     "1 1 1 1 1", "Sat, 01 Jan 0001 00:00:00 +2359", ","):  # fmt: skip
            self.assertFalse(self.corrected(date), date[:50])
        self.assertEqual((self.clock.seconds(), self.lines), (NOW, []))
