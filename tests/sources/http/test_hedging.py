"""Second requests to origins whose first bytes are late."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginFailed
from imgforge.sources.http.hedging import Hedging


class HedgingTests(SynchronousTestCase):
    """An origin that has answered in time so often that a hedge is within the budget."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hedging = Hedging(self.clock)
        self.sent: list[tuple[bool, Deferred[str]]] = []
        self.dropped: list[str] = []
        for _ in range(40):
            result = self.send()
            self.sent.pop()[1].callback("quick")
            self.assertEqual(self.successResultOf(result), "quick")

    def send(self, origin: str = "s3://photos") -> Deferred[str]:
        def request(second: bool) -> Deferred[str]:
            answer: Deferred[str] = Deferred()
            self.sent.append((second, answer))
            return answer

        return self.hedging.send(origin, request, self.dropped.append)

    def late(self) -> tuple[Deferred[str], Deferred[str], Deferred[str]]:
        """A request that is late: its result, and the answers to the first and to the second request."""
        result = self.send()
        self.clock.advance(0.5)
        (first_is_second, first), (second_is_second, second) = self.sent
        self.assertEqual((first_is_second, second_is_second), (False, True))
        return result, first, second

    def test_no_second_request_is_sent_in_time(self) -> None:
        result = self.send()
        self.clock.advance(0.49)
        self.assertEqual(len(self.sent), 1)
        self.sent[0][1].callback("just in time")
        self.assertEqual(self.successResultOf(result), "just in time")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_second_answer_counts_and_the_first_request_is_cancelled(self) -> None:
        result, first, second = self.late()
        second.callback("second")
        self.assertEqual(self.successResultOf(result), "second")
        self.assertTrue(first.called)
        self.assertEqual(self.dropped, [])

    def test_the_first_answer_counts_and_the_second_request_is_cancelled(self) -> None:
        result, first, second = self.late()
        first.callback("first")
        self.assertEqual(self.successResultOf(result), "first")
        self.assertTrue(second.called)

    def test_a_response_that_comes_in_spite_of_the_cancellation_is_dropped(self) -> None:
        uncancelled: Deferred[str] = Deferred(lambda answer: answer.callback("late"))
        result = self.hedging.send(
            "s3://photos", lambda second: Deferred() if second else uncancelled, self.dropped.append
        )
        self.clock.advance(0.5)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.dropped, ["late"])

    def test_a_failure_of_one_waits_for_the_other(self) -> None:
        for failing in (0, 1):
            self.sent.clear()
            for _ in range(20):
                quick = self.send()
                self.sent.pop()[1].callback("quick")
                self.successResultOf(quick)
            result, *answers = self.late()
            answers[failing].errback(OriginFailed("reset"))
            self.assertNoResult(result)
            answers[1 - failing].callback("other")
            self.assertEqual(self.successResultOf(result), "other")

    def test_both_fail(self) -> None:
        result, first, second = self.late()
        first.errback(OriginFailed("first"))
        second.errback(OriginFailed("second"))
        self.failureResultOf(result, OriginFailed)

    def test_a_failure_before_the_hedge_is_the_result_at_once(self) -> None:
        result = self.send()
        self.sent[0][1].errback(OriginFailed("reset"))
        self.failureResultOf(result, OriginFailed)
        self.clock.advance(5)
        self.assertEqual(len(self.sent), 1)

    def test_a_cancelled_request_cancels_both(self) -> None:
        result, first, second = self.late()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertTrue(first.called and second.called)

    def test_the_delay_is_the_95th_percentile_where_that_is_longer(self) -> None:
        for _ in range(100):
            result = self.send()
            self.clock.advance(0.4)
            self.sent.pop()[1].callback("slow")
            self.successResultOf(result)
        self.assertEqual(self.hedging.delay("s3://photos"), 0.5)
        slow = Hedging(self.clock)
        for number in range(100):
            answer: Deferred[str] = Deferred()
            result = slow.send("s3://slow", lambda _, answer=answer: answer, self.dropped.append)  # type: ignore[misc]
            self.clock.advance(2 if number < 90 else 3)
            answer.callback("slow")
            self.successResultOf(result)
        self.assertEqual(slow.delay("s3://slow"), 3)

    def test_nothing_is_hedged_while_too_little_is_known(self) -> None:
        self.send("s3://new")
        self.clock.advance(60)
        self.assertEqual(len(self.sent), 1)

    def test_an_origin_that_is_always_slow_gets_a_twentieth_more(self) -> None:
        for _ in range(1000):
            result = self.send()
            self.clock.advance(30)
            self.sent[-1][1].callback("slow")
            self.successResultOf(result)
        self.assertLessEqual(sum(second for second, _ in self.sent), 0.05 * 1000 + 2)
        self.assertGreater(sum(second for second, _ in self.sent), 10)
