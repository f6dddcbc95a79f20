"""Equal work is done once, however many ask and whoever leaves."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import Coalescer


class SingleFlightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.flights: Coalescer[str, str] = Coalescer()
        self.started: list[Deferred[str]] = []
        self.cancelled = 0

    def start(self) -> Deferred[str]:
        def cancel(_: Deferred[str]) -> None:
            self.cancelled += 1

        work: Deferred[str] = Deferred(cancel)
        self.started.append(work)
        return work

    def test_two_callers_share_one_start(self) -> None:
        first, second = self.flights.do("k", self.start), self.flights.do("k", self.start)
        self.started[0].callback("made")
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], ["made", "made"])
        self.assertEqual(len(self.started), 1)

    def test_different_keys_fly_apart(self) -> None:
        self.flights.do("a", self.start)
        self.flights.do("b", self.start)
        self.assertEqual(len(self.started), 2)

    def test_a_failure_reaches_every_waiter(self) -> None:
        waiters = [self.flights.do("k", self.start) for _ in range(3)]
        self.started[0].errback(ValueError("broken"))
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)

    def test_a_landed_flight_is_forgotten(self) -> None:
        self.flights.do("k", self.start)
        self.started[0].callback("made")
        self.flights.do("k", self.start)
        self.assertEqual((len(self.started), len(self.flights)), (2, 1))

    def test_work_that_is_done_at_once_is_not_kept(self) -> None:
        self.assertEqual(self.successResultOf(self.flights.do("k", lambda: succeed("now"))), "now")
        self.assertEqual(len(self.flights), 0)

    def test_the_work_survives_the_first_callers_leaving(self) -> None:
        first, second = self.flights.do("k", self.start), self.flights.do("k", self.start)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, 0)
        self.started[0].callback("made")
        self.assertEqual(self.successResultOf(second), "made")

    def test_the_last_to_leave_stops_the_work(self) -> None:
        waiters = [self.flights.do("k", self.start) for _ in range(2)]
        for waiter in waiters:
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
        self.assertEqual((self.cancelled, len(self.flights)), (1, 0))

    def test_who_comes_after_all_have_left_starts_afresh(self) -> None:
        gone = self.flights.do("k", self.start)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        fresh = self.flights.do("k", self.start)
        self.started[1].callback("again")
        self.assertEqual(self.successResultOf(fresh), "again")
