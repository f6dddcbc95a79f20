"""The deadline of a fetch."""

from __future__ import annotations

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
