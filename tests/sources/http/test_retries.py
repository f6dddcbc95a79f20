"""Requests that are sent again: how often, when, and for which failures."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import CircuitOpen, ImgforgeError, NoCredentials, OriginFailed, SourceMissing
from imgforge.sources.http.retries import Retries


class RetryTests(SynchronousTestCase):
    """`jitter` takes the whole backoff, so that its length can be read."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts: list[int] = []
        self.delays: list[float] = []

    def jitter(self, least: float, most: float) -> float:
        self.assertEqual(least, 0)
        self.delays.append(most)
        return most

    def run_with(self, retries: Retries, *failures: ImgforgeError) -> Deferred[str]:
        """Each attempt fails with the next of *failures*, and succeeds after the last."""
        left = list(failures)

        async def attempt(number: int) -> str:
            self.attempts.append(number)
            if left:
                raise left.pop(0)
            return "done"

        result = Deferred.fromCoroutine(retries.run("s3://photos", attempt))
        for _ in range(len(failures)):
            self.clock.advance(2)
        return result

    def retries(self, most: int) -> Retries:
        return Retries(self.clock, most, self.jitter)

    def test_failures_of_the_origin_are_tried_again_with_backoff(self) -> None:
        result = self.run_with(self.retries(8), *(OriginFailed("503") for _ in range(7)))
        self.assertEqual(self.successResultOf(result), "done")
        self.assertEqual(self.attempts, list(range(8)))
        self.assertEqual(self.delays, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])

    def test_the_last_failure_is_the_result(self) -> None:
        last = OriginFailed("last")
        result = self.run_with(self.retries(1), OriginFailed("first"), last)
        self.assertIs(self.failureResultOf(result, OriginFailed).value, last)

    def test_without_retries_there_is_one_attempt(self) -> None:
        self.failureResultOf(self.run_with(self.retries(0), OriginFailed("503")), OriginFailed)
        self.assertEqual(self.attempts, [0])

    def test_what_another_attempt_cannot_change_is_not_tried_again(self) -> None:
        for error in (SourceMissing("404"), CircuitOpen("left alone", 502), NoCredentials("none")):
            self.attempts.clear()
            self.failureResultOf(self.run_with(self.retries(3), error), type(error))
            self.assertEqual(self.attempts, [0])

    def test_an_origin_that_always_fails_costs_a_tenth_more(self) -> None:
        retries = self.retries(2)
        for _ in range(1000):
            self.failureResultOf(self.run_with(retries, *(OriginFailed("503") for _ in range(3))), OriginFailed)
        # Ten from the start, then one for ten requests.
        self.assertLessEqual(len(self.attempts), 1000 + 10 + 100)
        self.assertGreater(len(self.attempts), 1000 + 10 + 90)
