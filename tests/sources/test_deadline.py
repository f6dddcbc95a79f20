"""The time that an origin has."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginTimeout
from imgforge.sources.http.deadline import Deadline


def connecting() -> Deferred[None]:
    """Ends as an endpoint's does that is cancelled: not with a CancelledError."""
    address = IPv4Address("TCP", "192.0.2.1", 80)
    return Deferred(lambda waiting: waiting.errback(ConnectingCancelledError(address)))


class DeadlineTests(SynchronousTestCase):
    def test_past_the_time_whatever_the_end_is_the_origin_was_too_slow(self) -> None:
        clock = Clock()

        async def work() -> None:
            await connecting()

        outcome = Deadline(clock, 2).run(work())
        clock.advance(2)
        self.failureResultOf(outcome, OriginTimeout)

    def test_waiting_for_ourselves_does_not_count(self) -> None:
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
