"""Equal work under way is done once, however many callers wait for it or cancel."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import Coalescer


class CoalescerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.coalescer: Coalescer[str, str] = Coalescer()
        self.started: list[Deferred[str]] = []
        self.cancelled = 0

    def start(self) -> Deferred[str]:
        def cancel(_: Deferred[str]) -> None:
            self.cancelled += 1

        work: Deferred[str] = Deferred(cancel)
        self.started.append(work)
        return work

    def test_two_callers_share_one_start(self) -> None:
        first, second = self.coalescer.do("k", self.start), self.coalescer.do("k", self.start)
        self.started[0].callback("made")
        self.assertEqual([self.successResultOf(first), self.successResultOf(second)], ["made", "made"])
        self.assertEqual(len(self.started), 1)

    def test_different_keys_start_their_own_work(self) -> None:
        self.coalescer.do("a", self.start)
        self.coalescer.do("b", self.start)
        self.assertEqual(len(self.started), 2)

    def test_a_failure_reaches_every_caller(self) -> None:
        waiters = [self.coalescer.do("k", self.start) for _ in range(3)]
        self.started[0].errback(ValueError("broken"))
        for waiter in waiters:
            self.failureResultOf(waiter, ValueError)

    def test_finished_work_is_forgotten(self) -> None:
        self.coalescer.do("k", self.start)
        self.started[0].callback("made")
        self.coalescer.do("k", self.start)
        self.assertEqual((len(self.started), len(self.coalescer)), (2, 1))

    def test_work_that_is_done_at_once_is_not_under_way(self) -> None:
        self.assertEqual(self.successResultOf(self.coalescer.do("k", lambda: succeed("now"))), "now")
        self.assertEqual(len(self.coalescer), 0)

    def test_work_goes_on_when_its_first_caller_cancels(self) -> None:
        first, second = self.coalescer.do("k", self.start), self.coalescer.do("k", self.start)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.cancelled, 0)
        self.started[0].callback("made")
        self.assertEqual(self.successResultOf(second), "made")

    def test_work_is_cancelled_with_its_last_caller(self) -> None:
        waiters = [self.coalescer.do("k", self.start) for _ in range(2)]
        for waiter in waiters:
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
        self.assertEqual((self.cancelled, len(self.coalescer)), (1, 0))

    def test_a_caller_that_has_the_result_may_cancel_another(self) -> None:
        first, second = self.coalescer.do("k", self.start), self.coalescer.do("k", self.start)

        def leave(made: str) -> str:
            second.cancel()
            return made

        first.addCallback(leave)
        self.started[0].callback("made")
        self.assertEqual(self.successResultOf(first), "made")
        self.failureResultOf(second, CancelledError)

    def test_a_start_that_raises_is_a_failure_and_the_next_call_starts_afresh(self) -> None:
        def start() -> Deferred[str]:
            raise ValueError("broken")

        self.failureResultOf(self.coalescer.do("k", start), ValueError)
        self.assertNoResult(self.coalescer.do("k", self.start))
        self.assertEqual(len(self.started), 1)

    def test_a_call_after_a_cancellation_starts_afresh(self) -> None:
        cancelled = self.coalescer.do("k", self.start)
        cancelled.cancel()
        self.failureResultOf(cancelled, CancelledError)
        fresh = self.coalescer.do("k", self.start)
        self.started[1].callback("again")
        self.assertEqual(self.successResultOf(fresh), "again")
