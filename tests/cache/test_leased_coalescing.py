"""Equal work is done once by all processes that share a directory, whatever becomes of the one that does it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from imgforge.cache import Cache, DiskLimits, DiskTier, disk
from imgforge.cache.leases import Lease, LeaseFile
from imgforge.cache.purge import follower
from imgforge.errors import CircuitOpen, NotAnImage, OriginFailed, Overloaded, SourceNotFound
from imgforge.model import CacheEntry
from tests.support.cache_directory import ENTRY, KEY

HOLDER = """
import sys
from imgforge.cache.leases import Lease, LeaseFile
print(Lease(LeaseFile(sys.argv[1]), bytes.fromhex(sys.argv[2])).take(), flush=True)
sys.stdin.read()
"""

OLD = replace(ENTRY, etag="old")


class Process:
    """What stands for one process here: a cache of its own on the common directory, and the works that it began."""

    def __init__(self, root: str, *, stored: bool = True) -> None:
        running: Any = reactor
        self.tier = DiskTier(running, root, DiskLimits(10**9, 100))
        self.cache = Cache(running, "disk", behind=[self.tier])
        self.works: list[Deferred[CacheEntry]] = []
        self.stored = stored
        self.kept = True

    async def make(self) -> CacheEntry:
        work: Deferred[CacheEntry] = Deferred()
        self.works.append(work)
        entry = await work
        if self.stored:
            self.cache.put(KEY, entry)
        return entry

    def ask(self) -> Deferred[CacheEntry]:
        return Deferred.fromCoroutine(self.cache.once(KEY, self.make, self.serve, lambda _: self.kept))

    def serve(self, entry: CacheEntry) -> CacheEntry | None:
        """What is in the cache, unless it is old."""
        return None if entry.etag == OLD.etag else entry


class SharedFlightTests(TestCase):
    def setUp(self) -> None:
        for module in (disk, follower):  # a busy machine is no dead disk
            self.patch(module, "_PATIENCE", 60.0)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name

    def process(self, root: str = "", **options: Any) -> Process:
        made = Process(root or self.root, **options)
        made.cache.startService()

        async def close() -> None:
            await made.cache.stopService()

        self.addCleanup(close)
        return made

    async def until(self, happened: Callable[[], object]) -> None:
        while not happened():
            await deferLater(reactor, 0.005)

    def looks(self, process: Process) -> list[bytes]:
        """What *process* finds, from now on, each time that it looks for the outcome of another one's work."""
        found: list[bytes] = []
        file: Any = process.tier._leases._file
        outcome = file.outcome

        def look(key: bytes) -> bytes:
            text: bytes = outcome(key)
            found.append(text)
            return text

        file.outcome = look
        return found

    async def waiting(self, count: int = 1, **options: Any) -> tuple[Process, Any, list[Process], list[Any]]:
        """A holder at work, and others that wait for it."""
        holder = self.process(**options)
        first = holder.ask()
        await self.until(lambda: holder.works)
        others = [self.process(**options) for _ in range(count)]
        looks = [self.looks(other) for other in others]
        asked = [other.ask() for other in others]
        # Before and after each was refused the lease for the first time, it has looked for an outcome.
        await self.until(lambda: all(len(one) >= 2 for one in looks))
        return holder, first, others, asked

    async def test_one_makes_it_and_all_have_it(self) -> None:
        holder, first, others, asked = await self.waiting(3)
        self.assertEqual([other.works for other in others], [[], [], []])
        holder.works[0].callback(ENTRY)
        self.assertEqual(await gatherResults([first, *asked]), [ENTRY] * 4)
        self.assertEqual([other.works for other in others], [[], [], []])

    async def test_a_failure_reaches_all_who_wait_and_nobody_later(self) -> None:
        holder, first, others, asked = await self.waiting(2)
        holder.works[0].errback(SourceNotFound("the origin answered 404"))
        for one in (first, *asked):
            with self.assertRaisesRegex(SourceNotFound, "the origin answered 404"):
                await one
        self.assertEqual([other.works for other in others], [[], []])
        others[0].ask().addErrback(lambda _: None)
        await self.until(lambda: others[0].works)
        others[0].works[0].errback(NotAnImage("later"))

    async def test_an_origin_that_is_left_alone_is_an_origins_fault_for_all(self) -> None:
        holder, first, _, asked = await self.waiting()
        holder.works[0].errback(CircuitOpen("it is left alone", 504))
        for one in (first, asked[0]):
            with self.assertRaisesRegex(OriginFailed, "it is left alone"):
                await one

    async def test_a_fault_of_ours_reaches_them_without_its_words(self) -> None:
        holder, first, _, asked = await self.waiting()
        holder.works[0].errback(ZeroDivisionError("/secret/path"))
        with self.assertRaises(ZeroDivisionError):
            await first
        with self.assertRaisesRegex(Exception, "^internal error$"):
            await asked[0]

    async def test_a_full_queue_is_of_one_process_only(self) -> None:
        holder, first, others, asked = await self.waiting()
        holder.works[0].errback(Overloaded("too many requests in the queue"))
        with self.assertRaises(Overloaded):
            await first
        await self.until(lambda: others[0].works)
        others[0].works[0].callback(ENTRY)
        self.assertEqual(await asked[0], ENTRY)

    async def test_who_waits_goes_on_when_the_clients_of_the_first_have_left(self) -> None:
        _, first, others, asked = await self.waiting()
        first.cancel()
        with self.assertRaises(CancelledError):
            await first
        await self.until(lambda: others[0].works)
        others[0].works[0].callback(ENTRY)
        self.assertEqual(await asked[0], ENTRY)

    async def test_what_is_not_kept_is_not_waited_for_in_turn(self) -> None:
        holder, first, others, asked = await self.waiting(2, stored=False)
        holder.works[0].callback(ENTRY)
        await self.until(lambda: all(other.works for other in others))
        for other in others:
            other.works[0].callback(ENTRY)
        self.assertEqual(await gatherResults([first, *asked]), [ENTRY] * 3)

    async def test_a_stale_entry_that_stands_in_is_not_waited_for_in_turn(self) -> None:
        await self.process().cache.put(KEY, OLD)
        holder, first, others, asked = await self.waiting(2, stored=False)
        holder.kept = False
        holder.works[0].callback(OLD)
        await self.until(lambda: all(other.works for other in others))
        for other in others:
            other.works[0].callback(OLD)
        self.assertEqual([one.etag for one in await gatherResults([first, *asked])], [OLD.etag] * 3)

    async def test_a_holder_that_is_killed_loses_its_lease(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.root, KEY.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            self.assertEqual(holder.stdout.readline(), b"True\n")
            other = self.process()
            asked = other.ask()
            await deferLater(reactor, 0.05)
            self.assertEqual(other.works, [])
            holder.kill()
        await self.until(lambda: other.works)
        other.works[0].callback(ENTRY)
        self.assertEqual(await asked, ENTRY)

    async def test_where_no_lock_can_be_had_each_makes_its_own(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        first, second = self.process(str(blocked)), self.process(str(blocked))
        asked = [first.ask(), second.ask()]
        await self.until(lambda: first.works and second.works)
        for one in (first, second):
            one.works[0].callback(ENTRY)
        self.assertEqual(await gatherResults(asked), [ENTRY, ENTRY])

    async def test_nothing_stays_locked_and_nothing_stays_behind(self) -> None:
        process = self.process()
        asked = process.ask()
        await self.until(lambda: process.works)
        process.works[0].callback(ENTRY)
        await asked
        await process.cache.stopService()
        self.assertTrue(Lease(LeaseFile(self.root), KEY).take())
        self.assertEqual(sorted(path.name for path in Path(self.root).glob("*")), [KEY.hex()[:2], "leases"])
