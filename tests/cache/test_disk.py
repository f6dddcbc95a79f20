"""The disk tier: for all processes, bounded by its janitor, and never in the way."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import SkipTest

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from imgforge.cache import DiskLimits, DiskTier, disk, entry_file, entry_path, sweep
from imgforge.cache.eviction import janitor
from imgforge.interfaces import ISharedTier
from imgforge.model import CacheEntry
from tests.support.cache_directory import ENTRY, KEY, ThreadedClock, number_key, sized, write
from tests.support.process import Twistd, wait_for


class DiskCase(TestCase):
    timeout = 20

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.faults: list[tuple[str, str]] = []
        self.clock = ThreadedClock()
        self.tier = self.make(self.root)

    def make(self, root: str, max_bytes: int = 10**9, min_free: int = 0) -> DiskTier:
        tier = DiskTier(
            self.clock,  # type: ignore[arg-type]
            root,
            DiskLimits(max_bytes, 100, free=min_free),
            on_fault=lambda tier, fault: self.faults.append((tier, fault)),
        )
        tier.startService()

        async def close() -> None:
            await tier.stopService()

        self.addCleanup(close)
        return tier

    async def until(self, happened: Callable[[], bool]) -> None:
        """Let the threads work until *happened*; the test's timeout ends it otherwise."""
        while not happened():
            await deferLater(reactor, 0.005)


class DiskTierTests(DiskCase):
    def test_it_is_a_tier(self) -> None:
        verifyObject(ISharedTier, self.tier)

    async def test_what_is_put_is_found_by_another_process_too(self) -> None:
        await self.tier.put(KEY, ENTRY)
        self.assertEqual(await self.make(self.root).get(KEY), ENTRY)

    async def test_what_is_still_being_written_is_found(self) -> None:
        writing = self.tier.put(KEY, ENTRY)
        self.assertIs(self.successResultOf(self.tier.get(KEY)), ENTRY)
        await writing
        self.assertEqual(await self.tier.get(KEY), ENTRY)

    async def test_a_damaged_entry_is_missed_removed_and_counted(self) -> None:
        await self.tier.put(KEY, ENTRY)
        path = entry_path(self.root, KEY)
        path.write_bytes(path.read_bytes()[:-1])
        self.assertIsNone(await self.tier.get(KEY))
        self.assertEqual((path.exists(), self.faults), (False, [("disk", "corrupt")]))

    async def test_a_directory_that_is_none_costs_entries_and_nothing_else(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        tier = self.make(str(blocked))
        await tier.put(KEY, ENTRY)
        self.assertIsNone(await tier.get(KEY))
        self.assertEqual({fault for _, fault in self.faults}, {"io"})

    async def test_what_is_larger_than_the_tier_is_not_written(self) -> None:
        tier = self.make(self.root, max_bytes=100)
        await tier.put(KEY, ENTRY)
        self.assertIsNone(await tier.get(KEY))

    async def test_remove(self) -> None:
        await self.tier.put(KEY, ENTRY)
        self.assertEqual((await self.tier.remove(KEY), await self.tier.remove(KEY)), (True, False))

    async def test_what_is_removed_while_it_is_being_written_stays_removed(self) -> None:
        keys = [number_key(number) for number in range(50)]
        changes: list[Deferred[Any]] = []
        for key in keys:
            changes += [self.tier.put(key, ENTRY), self.tier.remove(key)]
        for change in changes:
            await change
        self.assertEqual([await self.tier.get(key) for key in keys], [None] * 50)

    async def test_the_last_of_several_writes_stays(self) -> None:
        sizes = range(300_000, 0, -30_000)
        for change in [self.tier.put(KEY, sized(size)) for size in sizes]:
            await change
        self.assertEqual(await self.tier.get(KEY), sized(sizes[-1]))

    async def test_a_fault_is_told_once_a_minute_with_what_to_do(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        tier = self.make(str(blocked))
        with capturedLogs() as events:
            for _ in range(3):
                await tier.get(KEY)
            self.clock.advance(61)
            await tier.get(KEY)
        warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), 2)
        self.assertIn("IMGFORGE_CACHE_DISK_PATH", warnings[0])


class StalledMediumTests(DiskCase):
    """A dead share: nothing that was begun comes back, until `revive`."""

    def setUp(self) -> None:
        super().setUp()
        self.dead = threading.Event()
        self.revive = self.dead.set
        self.addCleanup(self.revive)
        for _ in range(4):
            self.tier._threads.run(self.dead.wait)

    async def test_a_look_up_is_a_miss_after_a_second_and_the_next_ones_at_once(self) -> None:
        first = self.tier.get(KEY)
        self.clock.advance(0.9)
        self.assertNoResult(first)
        self.clock.advance(0.2)
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(self.tier.get(KEY)))
        self.successResultOf(self.tier.put(KEY, ENTRY))
        self.assertEqual(self.faults, [("disk", "slow")] * 3)

    async def test_it_is_in_use_again_once_it_answers(self) -> None:
        self.tier.get(KEY)
        self.clock.advance(1.1)
        self.revive()
        await self.until(lambda: not self.tier._threads.stalled)
        await self.tier.put(KEY, ENTRY)
        self.assertEqual(await self.tier.get(KEY), ENTRY)

    async def test_what_waits_to_be_written_is_bounded(self) -> None:
        megabyte = sized(1 << 20)
        for number in range(70):
            self.tier.put(number_key(number), megabyte)
        self.assertEqual(self.faults, [("disk", "slow")] * 6)

    async def test_the_server_ends_all_the_same(self) -> None:
        self.tier.put(KEY, ENTRY)
        closing = self.tier.stopService()
        self.assertNoResult(closing)
        self.clock.pump([3.1, 3.1])
        self.successResultOf(closing)


class SlowReadTests(DiskCase):
    """One file does not come; the medium serves the others."""

    async def large_look_up(self) -> Deferred[CacheEntry | None]:
        """A look-up of 100 MB that is being read; the read ends at `go_on`."""
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        reading = threading.Event()
        big = sized(100 << 20)
        await self.tier.put(KEY, big)
        await self.tier.put(number_key(1), ENTRY)
        really_read = entry_file._read

        def slow(descriptor: int, size: int, longest: int) -> tuple[bytes, bytes]:
            if size > 1 << 20:
                reading.set()
                self.go_on.wait(30)
            return really_read(descriptor, size, longest)

        self.patch(entry_file, "_read", slow)
        found = self.tier.get(KEY)
        await self.until(reading.is_set)
        return found

    async def test_what_is_large_may_take_longer(self) -> None:
        found = await self.large_look_up()
        self.clock.pump([1.0] * 12)
        self.assertNoResult(found)
        self.go_on.set()
        entry = await found
        self.assertEqual((entry and len(entry.rendition.body), self.faults), (100 << 20, []))

    async def test_but_not_for_ever(self) -> None:
        found = await self.large_look_up()
        self.clock.pump([1.0] * 14)
        self.assertIsNone(self.successResultOf(found))

    async def test_one_that_hangs_costs_the_other_look_ups_nothing(self) -> None:
        await self.large_look_up()
        self.clock.pump([1.0] * 20)
        self.assertEqual(self.faults, [("disk", "slow")])
        self.assertEqual(await self.tier.get(number_key(1)), ENTRY)
        await self.tier.put(number_key(2), ENTRY)
        self.assertEqual(await self.make(self.root).get(number_key(2)), ENTRY)
        self.assertEqual(self.faults, [("disk", "slow")])

    async def test_when_two_hang_the_tier_rests_until_one_comes_back(self) -> None:
        await self.large_look_up()
        self.tier.get(KEY)
        self.clock.pump([1.0] * 20)
        self.assertIsNone(await self.tier.get(number_key(1)))
        self.go_on.set()
        await self.until(lambda: not self.tier._threads.stalled)
        self.assertEqual(await self.tier.get(number_key(1)), ENTRY)


class JanitorTests(DiskCase):
    def left(self) -> int:
        return len(list(Path(self.root).rglob("*.entry")))

    async def test_it_sweeps_at_the_start_and_every_minute(self) -> None:
        for number in range(120):
            write(self.root, number, age=1000 - number)
        self.clock.advance(1)
        await self.until(lambda: self.left() == 95)
        lock = Path(self.root, "janitor.lock")
        await self.until(lambda: lock.stat().st_mtime > lock.stat().st_atime)
        os.utime(lock, (0, 1))  # as if that had been long ago
        for number in range(200, 220):
            write(self.root, number)
        await self.until(lambda: self.clock.getDelayedCalls() != [])
        self.clock.pump([1.0] * 59)
        self.assertEqual(self.left(), 115)
        self.clock.pump([1.0] * 3)
        await self.until(lambda: self.left() == 95)

    async def test_it_sweeps_soon_after_much_was_written(self) -> None:
        self.clock.advance(1)
        await self.until(lambda: self.clock.getDelayedCalls() != [])
        for number in range(120):
            await self.tier.put(number_key(number), ENTRY)
        self.assertEqual(self.left(), 120)
        self.clock.advance(1)
        await self.until(lambda: self.left() == 95)

    async def test_it_goes_on_after_a_fault(self) -> None:
        lock = Path(self.root, "janitor.lock")
        lock.mkdir()
        for number in range(120):
            write(self.root, number, age=1000 - number)
        self.clock.advance(1)
        await self.until(lambda: self.faults == [("disk", "io")])
        lock.rmdir()
        self.clock.pump([1.0] * 62)
        await self.until(lambda: self.left() == 95)


class NoRoomTests(DiskCase):
    """A medium that is full; how full it is, the test says in place of the file system."""

    def setUp(self) -> None:
        super().setUp()
        self.tier._janitor.stopService()  # the tests make their own
        self.paths = [write(self.root, number, size=10_000, age=1000 - number) for number in range(40)]
        self.size = self.paths[0].stat().st_size
        self.free = 0
        self.total = 10 << 20
        self.patch(os, "statvfs", self.statvfs)

    def statvfs(self, _: str) -> SimpleNamespace:
        gone = 40 - self.left()
        return SimpleNamespace(f_blocks=self.total, f_frsize=1, f_bavail=self.free + max(0, gone) * self.size)

    def left(self) -> int:
        return len(list(Path(self.root).rglob("*.entry")))

    def on(self, min_free: int) -> DiskTier:
        self.tier = self.make(self.root, min_free=min_free)
        return self.tier

    async def rested(self) -> None:
        """Wait until no sweep is under way: while one is, the janitor does not look at the clock."""
        await self.until(lambda: self.tier._janitor._checks.call is not None)

    async def swept(self, left: int) -> None:
        await self.rested()
        self.clock.advance(1)
        await self.until(lambda: self.left() == left)

    async def test_the_oldest_go_where_the_medium_says_that_it_is_full(self) -> None:
        tier = self.on(0)
        await self.swept(40)  # the sweep at the start finds nothing to do
        await self.rested()
        for code in (errno.ENOSPC, errno.EDQUOT):

            def refuse(*_: object, code: int = code) -> int:
                raise OSError(code, os.strerror(code))

            refusing = self.patch(disk, "write_entry", refuse)
            before = self.left()
            await tier.put(KEY, sized(10_000))
            refusing.restore()
            await self.swept(before - 2)
            await self.rested()
        self.assertEqual(self.faults, [("disk", "full")] * 2)
        self.assertEqual([path.exists() for path in self.paths[:6]], [False] * 4 + [True] * 2)

    async def test_a_floor_is_kept(self) -> None:
        self.free = 100 * self.size
        tier = self.on(5 * self.size)
        await self.rested()  # from the sweep at the start, which finds nothing to do
        self.free = 0
        await tier.put(KEY, sized(10_000))
        self.assertFalse(entry_path(self.root, KEY).exists())
        self.assertEqual(self.faults, [("disk", "full")])
        await self.swept(40 - 7)  # the floor, and a quarter of it, in whole entries
        await tier.put(KEY, sized(10_000))
        self.assertTrue(entry_path(self.root, KEY).exists())

    async def test_room_is_made_before_there_is_none(self) -> None:
        self.free = 7 * self.size
        tier = self.on(6 * self.size)
        await self.rested()
        await tier.put(KEY, sized(9_000))
        self.assertEqual((self.left(), self.faults), (41, []))
        await self.swept(38)  # what is lacking, but at least a twentieth

    async def test_by_default_it_is_a_part_of_a_small_medium(self) -> None:
        self.total = 100 * self.size
        self.on(-1)
        await self.swept(40 - 7)

    async def test_what_is_a_large_part_of_the_medium_displaces_nothing(self) -> None:
        self.total, self.free = 20 * self.size, 9 * self.size
        tier = self.on(-1)
        await tier.put(KEY, sized(6 * self.size))
        self.assertEqual(self.faults, [("disk", "too_large")])
        self.clock.pump([1.0] * 3)
        await tier.stopService()
        self.assertEqual(self.left(), 40)

    async def test_a_medium_that_does_not_say_is_not_full(self) -> None:
        self.total = 0
        tier = self.on(-1)
        await tier.put(KEY, sized(10_000))
        self.assertEqual((self.left(), self.faults), (41, []))

    async def test_where_others_have_filled_it_one_looks_again_after_a_minute_only(self) -> None:
        for path in self.paths:
            path.unlink()
        self.patch(os, "statvfs", lambda _: SimpleNamespace(f_blocks=10 << 20, f_frsize=1, f_bavail=0))
        sweeps: list[float] = []

        def counted(*given: Any, **named: Any) -> Any:
            sweeps.append(self.clock.seconds())
            return sweep(*given, **named)

        self.patch(janitor, "sweep", counted)
        tier = self.on(-1)
        for _ in range(55):
            await tier.put(KEY, ENTRY)
            self.clock.advance(1)
            await self.until(lambda: len(self.clock.getDelayedCalls()) == 1)
        self.assertLessEqual(len(sweeps), 2)


class RealFullDiskTests(SynchronousTestCase):
    """The server with its cache on a file system of 6 MB."""

    def test_new_images_take_the_place_of_the_oldest(self) -> None:
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
            raise SkipTest("mounts need CAP_SYS_ADMIN")
        server = Twistd({"PROCESSES": "1", "CACHE_TYPE": "disk", "ALLOW_UNSIGNED": "true"})
        self.addCleanup(server.clean)
        directory = Path(server.scratch.name, "cache")
        directory.mkdir()
        noise = Image.frombytes("RGB", (256, 256), os.urandom(3 * 256 * 256))
        noise.save(Path(server.scratch.name, "noise.png"))
        server.environment = {
            "IMGFORGE_CACHE_DISK_PATH": str(directory),
            "IMGFORGE_LOCAL_FILESYSTEM_ROOT": server.scratch.name,
        }
        mount = 'mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@"'
        server.wrapper = ("unshare", "-m", "sh", "-c", mount, str(directory))
        server.start()
        assert server.process is not None
        inside = Path(f"/proc/{server.process.pid}/root{directory}")

        def kept(number: int) -> bool:
            """Made if need be; whether it was on the disk then, for a write that is under way serves hits as well."""
            reply = server.get(f"/unsafe/cb:{number}/plain/local:///noise.png@png")
            return entry_path(str(inside), bytes.fromhex(reply.headers["x-cache-key"])).exists()

        def first_is_there() -> bool:
            return entry_path(str(inside), first).exists()

        first = bytes.fromhex(server.get("/unsafe/cb:0/plain/local:///noise.png@png").headers["x-cache-key"])
        wait_for(first_is_there, "the first entry")
        for number in range(1, 36):
            wait_for(lambda number=number: kept(number), f"entry {number}")  # type: ignore[misc]
        self.assertFalse(first_is_there())
        status = os.statvfs(inside)
        self.assertEqual(status.f_blocks * status.f_frsize, 6 << 20)
        self.assertGreaterEqual(status.f_bavail * status.f_frsize, (6 << 20) // 20)
        self.assertEqual(server.metric('cache_faults_total{cache_type="disk",fault="io"}'), 0.0)
