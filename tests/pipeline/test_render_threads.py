"""At most the limit of operations run, and a cancelled one keeps its slot until its thread returns."""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from imgforge.pipeline import RenderThreads
from imgforge.processing import Cancellation
from tests.support.scripted_origin import until


class Tally:
    """Counts what the threads report."""

    def __init__(self) -> None:
        self.waiting = 0
        self.active = 0
        self.most_active = 0
        self.timed: list[str] = []

    def operation_waiting(self, operation: str, change: int) -> None:
        self.waiting += change

    def operation_active(self, operation: str, change: int) -> None:
        self.active += change
        self.most_active = max(self.most_active, self.active)

    def operation_timed(self, operation: str, waited: float, queued: float, ran: float) -> None:
        self.timed.append(operation)


class RenderThreadsTests(TestCase):
    def setUp(self) -> None:
        self.tally = Tally()
        self.threads = RenderThreads(reactor, 2, self.tally)  # type: ignore[arg-type]
        self.addCleanup(self.threads.stop)

    def run_work(self, work: object) -> Deferred[object]:
        return Deferred.fromCoroutine(self.threads.run("process", work))  # type: ignore[arg-type]

    async def test_work_runs_off_the_reactor_thread(self) -> None:
        thread = await self.threads.run("process", lambda _: threading.current_thread())
        self.assertIsNot(thread, threading.main_thread())
        self.assertEqual(self.tally.timed, ["process"])

    async def test_no_more_than_the_limit_run_at_once(self) -> None:
        gate = threading.Event()
        results = [self.run_work(lambda _: gate.wait(20)) for _ in range(6)]
        self.assertEqual((self.tally.active, self.tally.waiting), (2, 4))
        gate.set()
        for result in results:
            self.assertTrue(await result)
        self.assertEqual((self.tally.most_active, self.tally.active, self.tally.waiting), (2, 0, 0))

    async def test_watched_images_are_freed_on_the_thread(self) -> None:
        freed_on: list[int] = []

        class Image:
            def __del__(self) -> None:
                freed_on.append(threading.get_ident())

        def work(cancellation: Cancellation) -> int:
            cancellation.watch(Image())
            return threading.get_ident()

        self.assertEqual([await self.threads.run("process", work)], freed_on)

    async def test_a_failure_reaches_the_caller_and_frees_the_slot(self) -> None:
        for _ in range(3):
            result = self.run_work(lambda _: 1 / 0)
            with self.assertRaises(ZeroDivisionError):
                await result
        self.assertEqual(self.tally.active, 0)

    async def test_a_cancelled_operation_keeps_its_slot_until_its_thread_returns(self) -> None:
        stuck, gate = threading.Event(), threading.Event()

        def work(cancellation: Cancellation) -> None:
            stuck.set()
            gate.wait(20)

        abandoned = self.run_work(work)
        stuck.wait(20)
        abandoned.cancel()
        self.failureResultOf(abandoned, CancelledError)
        self.assertEqual(self.tally.active, 1)
        gate.set()
        await until(lambda: self.tally.active == 0)

    async def test_an_operation_cancelled_while_it_waits_never_runs(self) -> None:
        gate, ran = threading.Event(), []
        busy = [self.run_work(lambda _: gate.wait(20)) for _ in range(2)]
        waiting = self.run_work(lambda _: ran.append(1))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        gate.set()
        for result in busy:
            await result
        self.assertEqual((ran, self.tally.waiting), ([], 0))

    async def test_an_operation_without_a_thread_fails_alone(self) -> None:
        def no_thread(_: object) -> None:
            raise RuntimeError("can't start new thread")

        patched = self.patch(threading.Thread, "start", no_thread)
        with self.assertRaises(RuntimeError):
            await self.run_work(lambda _: 1)
        patched.restore()
        self.assertEqual(await self.run_work(lambda _: 1), 1)
        self.assertEqual((self.tally.active, self.tally.waiting), (0, 0))


class ExpectedWaitTests(TestCase):
    async def test_wait_is_that_for_the_operations_before(self) -> None:
        threads = RenderThreads(reactor, 1, Tally())  # type: ignore[arg-type]
        self.addCleanup(threads.stop)
        gate, expected = threading.Event(), []

        async def ask() -> None:
            await threads.run("process", lambda _: gate.wait(20))
            expected.append(threads.expected_wait())

        asked = [Deferred.fromCoroutine(ask()) for _ in range(4)]
        gate.set()
        for one in asked:
            await one
        self.assertEqual([wait > 0 for wait in expected], [False, True, False, False])
