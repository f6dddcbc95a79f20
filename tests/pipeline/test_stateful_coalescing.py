"""Coalesced work and all its callers share one state."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.pipeline.stateful_coalescing import StatefulCoalescer


class State:
    """Anything that can be referred to weakly."""


class StatefulCoalescerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.coalescer: StatefulCoalescer[str, None, State] = StatefulCoalescer(State)

    def begin(self) -> tuple[State, Deferred[None]]:
        state = self.coalescer.state("key")
        return state, self.coalescer.do("key", Deferred)

    def test_callers_of_work_under_way_share_its_state(self) -> None:
        (first, _), (second, _) = self.begin(), self.begin()
        self.assertIs(first, second)

    def test_work_that_begins_after_the_end_of_equal_work_has_a_new_state(self) -> None:
        first, work = self.begin()
        work.cancel()
        self.failureResultOf(work, CancelledError)
        second, _ = self.begin()
        self.assertIsNot(first, second)
