"""Who is refused after a worker's death: what it was at; where that was several sources, the next death tells."""

from __future__ import annotations

import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.errors import Quarantined
from imgforge.observability import Metrics
from imgforge.pipeline import Quarantine, RenderThreads
from imgforge.service._quarantine import Ward, WardWitness, digest_of
from imgforge.service._quarantine_file import load, save

_SECONDS = 600.0
BOMB, PHOTO = "https://example.com/bomb.jpg", "https://example.com/photo.jpg"


class QuarantineCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000.3)
        self.ward = Ward(3, self.clock.seconds)
        self.addCleanup(self.ward.close)
        self.blocks: list[AbstractContextManager[None]] = []
        self.workers = [self.worker(slot) for slot in range(3)]

    def worker(self, slot: int) -> WardWitness:
        return WardWitness(3, slot, self.ward.descriptor, _SECONDS, self.clock.seconds)

    def killed(self, slot: int, *sources: str) -> list[str]:
        """What is refused after the worker of *slot* was killed while it worked on *sources*."""
        # To be kept: a block that nobody refers to is ended.
        blocks = [self.workers[slot].working(source) for source in sources]
        for block in blocks:
            block.__enter__()
        guilty = self.ward.died(slot, _SECONDS)
        self.blocks.extend(blocks)
        self.workers[slot] = self.worker(slot)
        return guilty

    def refused(self, source: str) -> set[bool]:
        return {worker.is_quarantined(source) for worker in self.workers}


class VerdictTests(QuarantineCase):
    def test_the_one_source_at_work_is_refused_by_all_workers_for_its_time(self) -> None:
        self.assertEqual(self.killed(1, BOMB), [digest_of(BOMB).hex()])
        self.assertEqual((self.refused(BOMB), self.refused(PHOTO)), ({True}, {False}))
        self.clock.advance(_SECONDS - 1)
        self.assertEqual(self.refused(BOMB), {True})
        self.clock.advance(2)
        self.assertEqual(self.refused(BOMB), {False})

    def test_what_was_finished_before_is_nobody_s_death(self) -> None:
        with self.workers[0].working(BOMB):
            """It ends well."""
        self.assertEqual(self.killed(0), [])
        self.assertEqual(self.refused(BOMB), {False})

    def test_what_another_worker_is_at_is_not_suspected(self) -> None:
        with self.workers[2].working(PHOTO):
            self.killed(0, BOMB)
            self.assertEqual((self.refused(PHOTO), self.workers[0].is_suspect(PHOTO)), ({False}, False))

    def test_several_at_work_are_suspects_and_the_next_death_tells(self) -> None:
        self.assertEqual(self.killed(0, BOMB, PHOTO), [])
        for source in (BOMB, PHOTO):
            self.assertEqual(self.refused(source), {False})
            self.assertTrue(all(worker.is_suspect(source) for worker in self.workers))
        others = [f"https://example.com/{number}.jpg" for number in range(5)]
        self.assertEqual(self.killed(1, BOMB, *others), [digest_of(BOMB).hex()])
        self.assertEqual(self.refused(BOMB), {True})
        self.assertFalse(any(self.workers[0].is_suspect(source) for source in others))

    def test_a_suspect_that_ends_well_is_one_no_more(self) -> None:
        self.killed(0, BOMB, PHOTO)
        with self.workers[1].working(PHOTO):
            """It ends well."""
        self.assertEqual([worker.is_suspect(PHOTO) for worker in self.workers], [False] * 3)
        self.assertEqual(self.killed(0, PHOTO, f"{PHOTO}?2"), [])

    def test_without_seconds_nobody_is_judged(self) -> None:
        with self.workers[0].working(BOMB):
            self.assertEqual(self.ward.died(0, 0), [])
        self.assertEqual(self.refused(BOMB), {False})

    def test_a_clock_that_is_put_back_frees_rather_than_keeps(self) -> None:
        self.killed(0, BOMB)
        self.clock.rightNow -= 3600
        self.assertEqual(self.refused(BOMB), {False})

    def test_of_more_than_the_table_holds_those_go_whose_time_is_up_first(self) -> None:
        for number in range(300):
            self.clock.advance(0.1)
            self.killed(0, f"https://example.com/{number}")
        self.assertEqual(self.refused("https://example.com/0"), {False})
        self.assertEqual(self.refused("https://example.com/299"), {True})


class FileTests(QuarantineCase):
    def setUp(self) -> None:
        super().setUp()
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        self.file = Path(scratch.name, "quarantine")

    def kept(self) -> None:
        save(self.directory, self.ward.quarantined(_SECONDS), self.clock.seconds())

    def test_another_server_goes_on_refusing(self) -> None:
        self.killed(0, BOMB)
        self.kept()
        another = Ward(3, self.clock.seconds)
        self.addCleanup(another.close)
        another.restore(load(self.directory), _SECONDS)
        witness = WardWitness(3, 0, another.descriptor, _SECONDS, self.clock.seconds)
        self.assertEqual([witness.is_quarantined(source) for source in (BOMB, PHOTO)], [True, False])

    def test_what_another_host_has_written_stays_until_its_time_is_up(self) -> None:
        save(self.directory, {"00" * 16: self.clock.seconds() + 60}, self.clock.seconds())
        self.killed(0, BOMB)
        self.kept()
        self.assertEqual(set(load(self.directory)), {"00" * 16, digest_of(BOMB).hex()})
        self.clock.advance(61)
        self.kept()
        self.assertEqual(set(load(self.directory)), {digest_of(BOMB).hex()})

    def test_of_a_file_that_is_not_ours_nothing_is_believed(self) -> None:
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
            self.ward.restore(load(self.directory), _SECONDS)
        self.assertEqual(self.ward.quarantined(_SECONDS), {})

    def test_no_link_is_followed(self) -> None:
        target = Path(self.directory, "target")
        target.write_text(f'{{"{"00" * 16}": {self.clock.seconds() + 1}}}')
        self.file.symlink_to(target)
        self.assertEqual(load(self.directory), {})


class ThreadsTests(TestCase):
    """What the image threads make of verdicts."""

    def setUp(self) -> None:
        self.ward = Ward(2)
        self.addCleanup(self.ward.close)
        self.witness = WardWitness(2, 0, self.ward.descriptor, _SECONDS)
        self.reasons: list[str] = []
        self.blocks: list[AbstractContextManager[None]] = []  # a block that nobody refers to is ended
        running: Any = reactor
        self.threads = RenderThreads(running, 3, Metrics(), Quarantine(self.witness, self.reasons.append))
        self.threads.start()
        self.addCleanup(self.threads.stop)

    def begin(self, work: Any, source: str) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.threads.run("process", work, source))

    def dies(self, *sources: str) -> None:
        """Another worker."""
        another = WardWitness(2, 1, self.ward.descriptor, _SECONDS)
        self.blocks += [another.working(source) for source in sources]
        for block in self.blocks:
            block.__enter__()
        self.ward.died(1, _SECONDS)

    async def test_what_is_at_work_is_written_down_until_the_thread_is_back(self) -> None:
        gate = threading.Event()
        working = [self.begin(lambda _: gate.wait(20), source) for source in (BOMB, PHOTO)]
        working[0].addErrback(lambda _: None)
        working[0].cancel()
        self.assertEqual(self.ward.leave(0), {digest_of(BOMB), digest_of(PHOTO)})
        gate.set()
        await gatherResults(working)

    async def test_one_suspect_at_a_time_beside_others(self) -> None:
        self.dies(BOMB, PHOTO)
        gate, order = threading.Event(), []

        def work(name: str) -> Any:
            def on_thread(_: object) -> None:
                order.append(name)
                gate.wait(20)

            return on_thread

        working = [
            self.begin(work("bomb"), BOMB),
            self.begin(work("photo"), PHOTO),
            self.begin(work("other"), "other:"),
        ]
        self.assertEqual(self.ward.leave(0), {digest_of(BOMB), digest_of("other:")})
        gate.set()
        await gatherResults(working)
        self.assertEqual(
            (order[-1], self.witness.is_suspect(BOMB), self.witness.is_suspect(PHOTO)), ("photo", False, False)
        )

    async def test_what_was_quarantined_while_it_waited_is_refused(self) -> None:
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
