"""Which sources are quarantined after a worker's death, and which become suspects until the next one."""

from __future__ import annotations

import signal
import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.errors import Quarantined
from imgforge.observability import Metrics
from imgforge.pipeline import Quarantine, RenderThreads
from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.crashes import Cause, cause_of
from imgforge.service.supervisor.quarantine_file import load, save
from imgforge.service.supervisor.quarantine_table import QuarantineTable, SharedCrashTracker, Verdict, digest_of

_SECONDS = 600.0
BOMB, PHOTO = "https://example.com/bomb.jpg", "https://example.com/photo.jpg"


class QuarantineCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000.3)
        self.table = QuarantineTable(3, self.clock.seconds)
        self.addCleanup(self.table.close)
        self.blocks: list[AbstractContextManager[None]] = []
        self.workers = [self.worker(slot) for slot in range(3)]

    def worker(self, slot: int) -> SharedCrashTracker:
        return SharedCrashTracker(3, slot, self.table.descriptor, _SECONDS, self.clock.seconds)

    def begin(self, slot: int, *sources: str) -> None:
        """Have the worker of *slot* begin to decode *sources*, as render threads do."""
        for source in sources:
            self.workers[slot].is_suspect(source)
            # Kept, since a context manager without a reference is closed.
            self.blocks.append(self.workers[slot].working(source))
            self.blocks[-1].__enter__()

    def ended(self, slot: int, *, crashed: bool) -> list[str]:
        """The digests that are quarantined by the death of the worker of *slot*."""
        verdict = self.table.died(slot, _SECONDS, crashed=crashed)
        self.workers[slot] = self.worker(slot)
        return list(verdict.quarantined)

    def crashed(self, slot: int, *sources: str) -> list[str]:
        """The digests that are quarantined after the worker of *slot* crashed while it decoded *sources*."""
        self.begin(slot, *sources)
        return self.ended(slot, crashed=True)

    def killed(self, slot: int, *sources: str) -> list[str]:
        """The same for a worker that was killed from outside."""
        self.begin(slot, *sources)
        return self.ended(slot, crashed=False)

    def refused(self, source: str) -> set[bool]:
        return {worker.is_quarantined(source) for worker in self.workers}


class VerdictTests(QuarantineCase):
    def test_only_source_of_a_crashed_worker_is_quarantined_for_all_workers_until_it_expires(self) -> None:
        self.assertEqual(self.crashed(1, BOMB), [digest_of(BOMB).hex()])
        self.assertEqual((self.refused(BOMB), self.refused(PHOTO)), ({True}, {False}))
        self.clock.advance(_SECONDS - 1)
        self.assertEqual(self.refused(BOMB), {True})
        self.clock.advance(2)
        self.assertEqual(self.refused(BOMB), {False})

    def test_source_that_was_finished_before_the_crash_is_not_quarantined(self) -> None:
        with self.workers[0].working(BOMB):
            """It ends well."""
        self.assertEqual(self.crashed(0), [])
        self.assertEqual(self.refused(BOMB), {False})

    def test_source_of_another_worker_is_no_suspect(self) -> None:
        with self.workers[2].working(PHOTO):
            self.crashed(0, BOMB)
            self.assertEqual((self.refused(PHOTO), self.workers[0].is_suspect(PHOTO)), ({False}, False))

    def test_several_sources_become_suspects_and_the_next_crash_identifies_one(self) -> None:
        self.assertEqual(self.crashed(0, BOMB, PHOTO), [])
        for source in (BOMB, PHOTO):
            self.assertEqual(self.refused(source), {False})
            self.assertTrue(all(worker.is_suspect(source) for worker in self.workers))
        others = [f"https://example.com/{number}.jpg" for number in range(5)]
        self.assertEqual(self.crashed(1, BOMB, *others), [digest_of(BOMB).hex()])
        self.assertEqual(self.refused(BOMB), {True})
        self.assertFalse(any(self.workers[0].is_suspect(source) for source in others))

    def test_suspect_that_is_decoded_is_cleared(self) -> None:
        self.crashed(0, BOMB, PHOTO)
        with self.workers[1].working(PHOTO):
            """It ends well."""
        self.assertEqual([worker.is_suspect(PHOTO) for worker in self.workers], [False] * 3)
        self.assertEqual(self.crashed(0, PHOTO, f"{PHOTO}?2"), [])

    def test_work_that_began_before_the_suspicion_proves_nothing(self) -> None:
        self.begin(1, BOMB, PHOTO)
        self.crashed(0, BOMB, PHOTO)
        self.assertEqual(self.ended(1, crashed=True), [])
        self.assertEqual([self.workers[2].is_suspect(source) for source in (BOMB, PHOTO)], [True, True])
        self.assertEqual(self.crashed(2, BOMB), [digest_of(BOMB).hex()])

    def test_quarantined_source_explains_a_crash(self) -> None:
        self.begin(1, BOMB, PHOTO)
        self.crashed(0, BOMB)
        self.assertEqual(self.ended(1, crashed=True), [digest_of(BOMB).hex()])
        self.assertFalse(self.workers[2].is_suspect(PHOTO))

    def test_zero_seconds_turn_the_quarantine_off(self) -> None:
        with self.workers[0].working(BOMB):
            self.assertEqual(self.table.died(0, 0), Verdict())
        self.assertEqual(self.refused(BOMB), {False})

    def test_clock_that_is_set_back_ends_the_quarantine(self) -> None:
        self.crashed(0, BOMB)
        self.clock.rightNow -= 3600
        self.assertEqual(self.refused(BOMB), {False})

    def test_full_table_drops_the_row_that_expires_first(self) -> None:
        for number in range(300):
            self.clock.advance(0.1)
            self.crashed(0, f"https://example.com/{number}")
        self.assertEqual(self.refused("https://example.com/0"), {False})
        self.assertEqual(self.refused("https://example.com/299"), {True})


class KilledFromOutsideTests(QuarantineCase):
    """SIGKILL may come from the OOM killer or an operator: one death proves nothing."""

    def test_only_source_of_a_killed_worker_is_a_suspect(self) -> None:
        self.assertEqual(self.killed(0, PHOTO), [])
        self.assertEqual((self.refused(PHOTO), self.workers[1].is_suspect(PHOTO)), ({False}, True))

    def test_suspect_is_quarantined_by_the_second_death(self) -> None:
        self.killed(0, BOMB)
        self.assertEqual(self.killed(1, BOMB, PHOTO), [digest_of(BOMB).hex()])
        self.assertEqual((self.refused(BOMB), self.refused(PHOTO)), ({True}, {False}))
        self.assertFalse(self.workers[2].is_suspect(PHOTO))

    def test_workers_killed_together_quarantine_nothing(self) -> None:
        for slot in (0, 1, 2):
            self.begin(slot, PHOTO)
        self.assertEqual([self.ended(slot, crashed=False) for slot in (0, 1, 2)], [[], [], []])
        self.assertEqual(self.refused(PHOTO), {False})

    def test_work_is_compared_with_the_first_suspicion(self) -> None:
        for slot in (0, 1):
            self.begin(slot, BOMB)
        self.ended(0, crashed=False)
        self.begin(2, BOMB)
        self.ended(1, crashed=False)
        self.assertEqual(self.ended(2, crashed=False), [digest_of(BOMB).hex()])

    def test_suspect_is_cleared_by_finished_work(self) -> None:
        self.killed(0, PHOTO)
        with self.workers[1].working(PHOTO):
            """It ends well."""
        self.assertEqual(self.killed(0, PHOTO), [])
        self.assertEqual(self.refused(PHOTO), {False})

    def test_crash_on_a_suspect_alone_quarantines_it(self) -> None:
        self.begin(1, BOMB)
        self.killed(0, BOMB)
        self.assertEqual(self.ended(1, crashed=True), [digest_of(BOMB).hex()])


class Started:
    """The transport of a process that obeys no signal."""

    pid = 4711

    def signalProcess(self, name: str) -> None: ...


class CauseTests(SynchronousTestCase):
    def cause(self, reason: Exception, *, asked: bool = False, hung: bool = False) -> Cause:
        clock = Clock()
        worker = Child(clock, "0", lambda _worker, _reason: None)
        worker.makeConnection(Started())
        if hung:
            for _ in range(2):  # the time for a start, and that to read the pipe
                clock.advance(60)
        if asked:
            worker.stop("TERM", 5)
        return cause_of(worker, Failure(reason))

    def test_fault_signals_are_crashes(self) -> None:
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
            for asked in (False, True):
                self.assertIs(self.cause(ProcessTerminated(signal=number), asked=asked), Cause.CRASH)

    def test_hung_worker_is_a_crash(self) -> None:
        for asked in (False, True):
            self.assertIs(self.cause(ProcessTerminated(signal=signal.SIGKILL), hung=True, asked=asked), Cause.CRASH)

    def test_sigkill_and_exit_status_are_unknown_causes(self) -> None:
        self.assertIs(self.cause(ProcessTerminated(signal=signal.SIGKILL)), Cause.UNKNOWN)
        self.assertIs(self.cause(ProcessTerminated(exitCode=1)), Cause.UNKNOWN)

    def test_stopped_worker_has_no_cause(self) -> None:
        self.assertIs(self.cause(ProcessDone(0)), Cause.ASKED)
        self.assertIs(self.cause(ProcessTerminated(signal=signal.SIGTERM)), Cause.ASKED)
        self.assertIs(self.cause(ProcessTerminated(signal=signal.SIGKILL), asked=True), Cause.ASKED)


class FileTests(QuarantineCase):
    def setUp(self) -> None:
        super().setUp()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        self.file = Path(scratch.name, "quarantine")

    def kept(self) -> None:
        save(self.directory, self.table.quarantined(_SECONDS), self.clock.seconds())

    def test_quarantine_outlives_the_server(self) -> None:
        self.crashed(0, BOMB)
        self.kept()
        another = QuarantineTable(3, self.clock.seconds)
        self.addCleanup(another.close)
        another.restore(load(self.directory), _SECONDS)
        tracker = SharedCrashTracker(3, 0, another.descriptor, _SECONDS, self.clock.seconds)
        self.assertEqual([tracker.is_quarantined(source) for source in (BOMB, PHOTO)], [True, False])

    def test_entries_of_other_hosts_stay_until_they_expire(self) -> None:
        save(self.directory, {"00" * 16: self.clock.seconds() + 60}, self.clock.seconds())
        self.crashed(0, BOMB)
        self.kept()
        self.assertEqual(set(load(self.directory)), {"00" * 16, digest_of(BOMB).hex()})
        self.clock.advance(61)
        self.kept()
        self.assertEqual(set(load(self.directory)), {digest_of(BOMB).hex()})

    def test_damaged_or_foreign_file_is_ignored(self) -> None:
        far = self.clock.seconds() + 10 * _SECONDS
        for text in (
            b"",
            b"[",
            b"[1]",
            b'{"a": 1}',
            b'{"zz": 1e999}',
            b"\xff" * 99,
            f'{{"{"00" * 16}": {far}}}'.encode(),
        ):
            self.file.write_bytes(text)
            self.table.restore(load(self.directory), _SECONDS)
        self.assertEqual(self.table.quarantined(_SECONDS), {})

    def test_symbolic_link_is_not_followed(self) -> None:
        target = Path(self.directory, "target")
        target.write_text(f'{{"{"00" * 16}": {self.clock.seconds() + 1}}}')
        self.file.symlink_to(target)
        self.assertEqual(load(self.directory), {})


class ThreadsTests(TestCase):
    """Render threads obey the quarantine."""

    def setUp(self) -> None:
        self.table = QuarantineTable(2)
        self.addCleanup(self.table.close)
        self.tracker = SharedCrashTracker(2, 0, self.table.descriptor, _SECONDS)
        self.reasons: list[str] = []
        self.blocks: list[
            AbstractContextManager[None]
        ] = []  # kept, since a context manager without a reference is closed
        running: Any = reactor
        self.threads = RenderThreads(running, 3, Metrics(), Quarantine(self.tracker, self.reasons.append))
        self.addCleanup(self.threads.stop)

    def begin(self, work: Any, source: str) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.threads.run("process", work, source))

    def dies(self, *sources: str) -> None:
        """Another worker crashes on *sources*."""
        another = SharedCrashTracker(2, 1, self.table.descriptor, _SECONDS)
        self.blocks += [another.working(source) for source in sources]
        for block in self.blocks:
            block.__enter__()
        self.table.died(1, _SECONDS)

    async def test_source_stays_recorded_until_its_thread_returns(self) -> None:
        gate = threading.Event()
        working = [self.begin(lambda _: gate.wait(20), source) for source in (BOMB, PHOTO)]
        working[0].addErrback(lambda _: None)
        working[0].cancel()
        self.assertEqual(self.table.leave(0).keys(), {digest_of(BOMB), digest_of(PHOTO)})
        gate.set()
        await gatherResults(working)

    async def test_suspects_are_decoded_one_at_a_time_beside_other_sources(self) -> None:
        self.dies(BOMB, PHOTO)
        gate, started, order = threading.Event(), threading.Semaphore(0), []

        def work(name: str) -> Any:
            def on_thread(_: object) -> None:
                order.append(name)
                started.release()
                gate.wait(20)

            return on_thread

        working = [
            self.begin(work("bomb"), BOMB),
            self.begin(work("photo"), PHOTO),
            self.begin(work("other"), "other:"),
        ]
        for _ in range(2):  # which of two threads is the first to run, chance decides
            started.acquire(timeout=20)
        self.assertEqual(self.table.leave(0).keys(), {digest_of(BOMB), digest_of("other:")})
        gate.set()
        await gatherResults(working)
        self.assertEqual(
            (order[-1], self.tracker.is_suspect(BOMB), self.tracker.is_suspect(PHOTO)), ("photo", False, False)
        )

    async def test_source_quarantined_while_it_waits_is_refused(self) -> None:
        gate = threading.Event()
        busy = [self.begin(lambda _: gate.wait(20), f"{number}:") for number in range(3)]
        waiting = self.begin(lambda _: self.fail("it ran"), BOMB)
        self.dies(BOMB)
        gate.set()
        await gatherResults(busy)
        with self.assertRaises(Quarantined):
            await waiting
        self.assertEqual(self.reasons, ["quarantine"])
        self.assertEqual(await self.begin(lambda _: 1, PHOTO), 1)

    async def test_source_that_becomes_a_suspect_while_it_waits_for_a_thread_is_decoded_alone(self) -> None:
        gate, order = threading.Event(), []

        def work(name: str) -> Any:
            def on_thread(_: object) -> None:
                order.append(name)
                gate.wait(20)

            return on_thread

        opened = threading.Event()
        busy = [self.begin(lambda _: opened.wait(20), f"{number}:") for number in range(3)]
        waiting = [self.begin(work("bomb"), BOMB), self.begin(work("photo"), PHOTO)]
        self.dies(BOMB, PHOTO)
        opened.set()
        await gatherResults(busy)
        self.assertEqual(len(self.table.leave(0)), 1)
        gate.set()
        await gatherResults(waiting)
        self.assertEqual(sorted(order), ["bomb", "photo"])

    async def test_requests_that_wait_for_a_suspect_run_together_once_it_is_cleared(self) -> None:
        self.dies(PHOTO, BOMB)
        gate, first, arrived = threading.Event(), threading.Event(), threading.Semaphore(0)

        def beside(_: object) -> bool:
            arrived.release()
            return gate.wait(20)

        retried = self.begin(lambda _: first.wait(20), PHOTO)
        waiting = [self.begin(beside, PHOTO) for _ in range(3)]
        first.set()
        await retried
        await deferToThread(lambda: [arrived.acquire(timeout=20) for _ in waiting])
        gate.set()
        self.assertEqual(await gatherResults(waiting), [True] * 3)

    async def test_long_queue_for_a_quarantined_source_is_refused_without_recursion(self) -> None:
        gate = threading.Event()
        busy = [self.begin(lambda _: gate.wait(20), f"{number}:") for number in range(3)]
        waiting = [self.begin(lambda _: self.fail("it ran"), BOMB) for _ in range(500)]
        self.dies(BOMB)
        gate.set()
        await gatherResults(busy)
        for one in waiting:
            with self.assertRaises(Quarantined):
                await one
