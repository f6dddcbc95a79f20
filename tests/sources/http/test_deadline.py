"""The deadline of a fetch."""

from __future__ import annotations

import contextlib

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginTimeout
from imgforge.sources.http.deadline import Deadline


def connecting() -> Deferred[None]:
    """Fails as the connect of an endpoint does when it is cancelled: not with a CancelledError."""
    address = IPv4Address("TCP", "192.0.2.1", 80)
    return Deferred(lambda waiting: waiting.errback(ConnectingCancelledError(address)))


class DeadlineTests(SynchronousTestCase):
    def test_past_the_deadline_any_failure_is_a_timeout(self) -> None:
        clock = Clock()

        async def work() -> None:
            await connecting()

        outcome = Deadline(clock, 2).run(work())
        clock.advance(2)
        self.failureResultOf(outcome, OriginTimeout)

    def test_work_that_takes_its_end_for_a_failure_and_tries_again_is_ended_all_the_same(self) -> None:
        clock, begun = Clock(), []

        async def work() -> None:
            for attempt in range(3):
                begun.append(attempt)
                with contextlib.suppress(ConnectingCancelledError):
                    await connecting()
            await Deferred[None]()

        deadline = Deadline(clock, 2)
        outcome = deadline.run(work())
        deadline.check()
        clock.advance(2)
        self.assertRaises(OriginTimeout, deadline.check)
        self.assertNoResult(outcome)
        clock.pump([1.0] * 3)
        self.failureResultOf(outcome, OriginTimeout)
        self.assertEqual((begun, clock.getDelayedCalls()), ([0, 1, 2], []))

    def test_the_deadline_stands_still_during_a_pause(self) -> None:
        clock, waiting = Clock(), Deferred[None]()
        deadline = Deadline(clock, 2)

        async def work() -> str:
            await deadline.paused_during(waiting)
            return "done"

        outcome = deadline.run(work())
        clock.advance(60)
        waiting.callback(None)
        self.assertEqual(self.successResultOf(outcome), "done")
        self.assertEqual(clock.getDelayedCalls(), [])
