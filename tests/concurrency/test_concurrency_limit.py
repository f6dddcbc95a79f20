"""A concurrency limit: how many at once, who waits, in which order, and who is refused."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.concurrency import ConcurrencyLimit, ConcurrencyLimits
from imgforge.errors import Overloaded


class AcquireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limit = ConcurrencyLimit("origin", 2)

    def counts(self) -> tuple[int, int]:
        return self.limit.active, self.limit.waiting

    def test_callers_beyond_the_maximum_wait(self) -> None:
        turns = [self.limit.acquire() for _ in range(3)]
        self.assertEqual([turn.called for turn in turns], [True, True, False])
        self.assertEqual(self.counts(), (2, 1))

    def test_a_released_place_goes_to_the_first_waiter(self) -> None:
        turns = [self.limit.acquire() for _ in range(4)]
        self.limit.release()
        self.assertEqual([turn.called for turn in turns[2:]], [True, False])
        self.assertEqual(self.counts(), (2, 1))

    def test_a_cancelled_waiter_leaves_the_queue(self) -> None:
        turns = [self.limit.acquire() for _ in range(4)]
        turns[2].cancel()
        self.failureResultOf(turns[2], CancelledError)
        self.limit.release()
        self.successResultOf(turns[3])
        self.assertEqual(self.counts(), (2, 0))

    def test_cancelling_a_turn_that_has_come_gives_no_place_back(self) -> None:
        self.limit.acquire().cancel()
        self.assertEqual(self.counts(), (1, 0))

    def test_a_full_queue_refuses(self) -> None:
        refused: list[str] = []
        self.limit = ConcurrencyLimit("origin", 1, 1, refused=refused.append)
        self.limit.acquire()
        self.limit.acquire()
        error = self.failureResultOf(self.limit.acquire(), Overloaded).value
        self.assertIn("origin", error.message)
        self.assertEqual((refused, self.counts()), (["origin"], (1, 1)))

    def test_0_is_any_number(self) -> None:
        self.limit = ConcurrencyLimit("origin", 0)
        for _ in range(100):
            self.successResultOf(self.limit.acquire())
        self.assertEqual(self.counts(), (100, 0))
        self.assertFalse(self.limit.full)

    def test_all_released_is_as_new(self) -> None:
        for _ in range(3):
            self.limit.acquire()
        for _ in range(3):
            self.limit.release()
        self.assertEqual(self.counts(), (0, 0))


class BlockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limit = ConcurrencyLimit("render", 1, message="too many renders")

    async def work(self, until: Deferred[None]) -> None:
        async with self.limit:
            await until

    def test_a_block_waits_for_the_one_before(self) -> None:
        first, second = Deferred[None](), Deferred[None]()
        works = [Deferred.fromCoroutine(self.work(until)) for until in (first, second)]
        self.assertEqual((self.limit.active, self.limit.waiting), (1, 1))
        first.callback(None)
        self.successResultOf(works[0])
        self.assertEqual((self.limit.active, self.limit.waiting), (1, 0))
        second.callback(None)
        self.successResultOf(works[1])
        self.assertEqual(self.limit.active, 0)

    def test_a_block_that_fails_gives_its_place_back(self) -> None:
        until = Deferred[None]()
        work = Deferred.fromCoroutine(self.work(until))
        until.errback(ValueError("broken"))
        self.failureResultOf(work, ValueError)
        self.assertEqual(self.limit.active, 0)

    def test_a_cancelled_block_leaves_the_queue_and_takes_no_place(self) -> None:
        first = Deferred[None]()
        running = Deferred.fromCoroutine(self.work(first))
        waiting = Deferred.fromCoroutine(self.work(Deferred()))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        first.callback(None)
        self.successResultOf(running)
        self.assertEqual((self.limit.active, self.limit.waiting), (0, 0))

    def test_hold_never_waits(self) -> None:
        with self.limit.hold():
            self.assertTrue(self.limit.full)
            error = self.assertRaises(Overloaded, self.limit.hold().__enter__)
            self.assertEqual(error.message, "too many renders")
            self.assertEqual(self.limit.active, 1)
        self.assertEqual(self.limit.active, 0)

    def test_check_takes_nothing(self) -> None:
        self.limit.check()
        with self.limit.hold():
            self.assertRaises(Overloaded, self.limit.check)
        self.assertEqual(self.limit.active, 0)

    def test_a_place_that_hold_gives_back_goes_to_a_waiter(self) -> None:
        with self.limit.hold():
            turn = self.limit.acquire()
            self.assertNoResult(turn)
        self.successResultOf(turn)


class LimitsByKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limits: ConcurrencyLimits[str] = ConcurrencyLimits(lambda _: ConcurrencyLimit("origin", 1))

    def test_keys_do_not_wait_for_each_other(self) -> None:
        self.successResultOf(self.limits.acquire("a"))
        self.successResultOf(self.limits.acquire("b"))
        self.assertNoResult(self.limits.acquire("a"))
        self.assertEqual((self.limits.active, self.limits.waiting), (2, 1))

    def test_unused_keys_are_forgotten(self) -> None:
        self.limits.acquire("a")
        waiter = self.limits.acquire("a")
        self.limits.release("a")
        self.successResultOf(waiter)
        self.assertEqual(len(self.limits), 1)
        self.limits.release("a")
        self.assertEqual(len(self.limits), 0)

    def test_hold_refuses_by_key(self) -> None:
        with self.limits.hold("a"):
            self.assertRaises(Overloaded, self.limits.check, "a")
            self.limits.check("b")
            self.assertRaises(Overloaded, self.limits.hold("a").__enter__)
            self.assertEqual(self.limits.active, 1)
        self.assertEqual(len(self.limits), 0)
