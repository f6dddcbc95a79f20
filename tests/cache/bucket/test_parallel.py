"""Requests side by side: bounded, in order, and all ended by a failure."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.bucket.parallel import in_parallel


class ParallelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begun: list[Deferred[int]] = []

    def work(self, _: int) -> Deferred[int]:
        self.begun.append(Deferred())
        return self.begun[-1]

    def test_eight_at_once_and_the_results_in_order(self) -> None:
        all_of_them = ensureDeferred(in_parallel([partial(self.work, number) for number in range(20)]))
        self.assertEqual(len(self.begun), 8)
        self.begun[7].callback(7)
        self.assertEqual(len(self.begun), 9)
        for number in [*range(7), *range(8, 20)]:
            self.begun[number].callback(number)
        self.assertEqual(self.successResultOf(all_of_them), list(range(20)))

    def test_a_failure_ends_the_others(self) -> None:
        all_of_them = ensureDeferred(in_parallel([partial(self.work, number) for number in range(20)]))
        self.begun[3].errback(OSError("no"))
        self.failureResultOf(all_of_them, OSError)
        self.assertEqual(len(self.begun), 8)
        self.assertTrue(all(one.called for one in self.begun))

    def test_cancelling_ends_them(self) -> None:
        all_of_them = ensureDeferred(in_parallel([partial(self.work, number) for number in range(3)]))
        all_of_them.cancel()
        self.failureResultOf(all_of_them, CancelledError)
        self.assertTrue(all(one.called for one in self.begun))

    def test_nothing_to_do(self) -> None:
        self.assertEqual(self.successResultOf(ensureDeferred(in_parallel([]))), [])
