"""The disk tier: believed only when whole, bounded by the janitor, and never in the way."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.cache import Cache, CorruptEntry, DiskTier, MemoryTier, entry_path, read_entry, sweep, write_entry
from imgforge.model import CacheEntry, Rendition

KEY = bytes(range(32))
ENTRY = CacheEntry(
    Rendition(b"pixels" * 100, "webp", "image/webp", 3, 4, "jpeg", 30, 40, 999),
    stored_at=1000.5,
    etag="abc",
    source="http://x/ä.jpg",
    source_etag='"o"',
)


class Directory(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name

    def write(self, number: int, size: int = 1000, age: float = 0) -> Path:
        key = number.to_bytes(32, "big")
        path = entry_path(self.root, key)
        write_entry(path, key, replace(ENTRY, rendition=replace(ENTRY.rendition, body=bytes(size))))
        os.utime(path, (time.time() - age,) * 2)
        return path


class FileTests(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.path = entry_path(self.root, KEY)
        write_entry(self.path, KEY, ENTRY)

    def spoil(self, change: Callable[[bytearray], object]) -> None:
        content = bytearray(self.path.read_bytes())
        change(content)
        self.path.write_bytes(content)

    def test_what_is_written_is_read(self) -> None:
        self.assertEqual(read_entry(self.path, KEY), ENTRY)

    def test_nothing_but_the_entry_is_left(self) -> None:
        files = [path for path in Path(self.root).rglob("*") if path.is_file()]
        self.assertEqual(files, [self.path])

    def test_no_flipped_bit_is_believed(self) -> None:
        whole = self.path.read_bytes()
        for at in [*range(120), *range(120, len(whole), 37)]:
            self.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with self.assertRaises(CorruptEntry):
                read_entry(self.path, KEY)

    def test_no_cut_file_is_believed(self) -> None:
        whole = self.path.read_bytes()
        for length in (0, 1, 35, 36, 60, len(whole) - 1):
            self.path.write_bytes(whole[:length])
            with self.assertRaises(CorruptEntry):
                read_entry(self.path, KEY)

    def test_lengths_that_lie_allocate_nothing(self) -> None:
        def lie(content: bytearray) -> None:
            content[12:20] = b"\x7f" + b"\xff" * 7

        self.spoil(lie)
        with self.assertRaisesRegex(CorruptEntry, "length"):
            read_entry(self.path, KEY)

    def test_another_keys_file_is_not_believed(self) -> None:
        other = bytes(32)
        entry_path(self.root, other).parent.mkdir(parents=True)
        self.path.rename(entry_path(self.root, other))
        with self.assertRaisesRegex(CorruptEntry, "key"):
            read_entry(entry_path(self.root, other), other)

    def test_links_and_pipes_are_not_followed(self) -> None:
        target = Path(self.root, "target")
        self.path.rename(target)
        self.path.symlink_to(target)
        with self.assertRaises(OSError):
            read_entry(self.path, KEY)
        self.path.unlink()
        os.mkfifo(self.path)
        with self.assertRaises((OSError, CorruptEntry)):
            read_entry(self.path, KEY)


class JanitorTests(Directory):
    def left(self) -> set[Path]:
        return set(Path(self.root).rglob("*.entry"))

    def test_nothing_happens_below_the_limits(self) -> None:
        for number in range(10):
            self.write(number)
        result = sweep(self.root, 10**6, 100)
        self.assertEqual((result and result.entries, len(self.left())), (10, 10))

    def test_the_oldest_go_until_the_entries_fit(self) -> None:
        paths = [self.write(number, age=1000 - number) for number in range(40)]
        sweep(self.root, 0, 20)
        self.assertEqual(self.left(), set(paths[21:]))

    def test_the_oldest_go_until_the_bytes_fit(self) -> None:
        paths = [self.write(number, size=10_000, age=1000 - number) for number in range(20)]
        result = sweep(self.root, 100_000, 0)
        self.assertLessEqual(sum(path.stat().st_size for path in self.left()), 100_000)
        self.assertLessEqual(self.left(), set(paths[10:]))
        self.assertEqual(result and result.bytes, sum(path.stat().st_size for path in self.left()))

    def test_what_is_too_old_goes(self) -> None:
        self.write(1, age=500)
        young = self.write(2, age=50)
        sweep(self.root, 0, 0, max_age=100)
        self.assertEqual(self.left(), {young})

    def test_left_over_temporary_files_go_and_fresh_ones_stay(self) -> None:
        path = self.write(1)
        old, fresh = path.with_name("a.partial"), path.with_name("b.partial")
        for one in (old, fresh):
            one.write_bytes(b"x")
        os.utime(old, (0, 0))
        sweep(self.root, 0, 0)
        self.assertEqual((old.exists(), fresh.exists()), (False, True))

    def test_what_is_not_ours_is_left_alone(self) -> None:
        with tempfile.TemporaryDirectory() as elsewhere:
            precious = Path(elsewhere, "00", "precious.entry")
            precious.parent.mkdir()
            precious.write_bytes(bytes(5000))
            Path(self.root, "aa").symlink_to(elsewhere)
            readme = Path(self.root, "README")
            readme.write_text("mine")
            for number in range(5):
                self.write(number, age=100)
            sweep(self.root, 1, 1)
            self.assertTrue(precious.exists() and readme.exists())

    def test_one_sweeps_at_a_time(self) -> None:
        import fcntl

        self.write(1)
        sweep(self.root, 0, 0)
        with open(Path(self.root, "janitor.lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIsNone(sweep(self.root, 1, 1))
        self.assertEqual(len(self.left()), 1)


class DiskTierTests(TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.faults: list[tuple[str, str]] = []
        self.tier = self.make(self.root)

    def make(self, root: str, max_bytes: int = 10**6) -> DiskTier:
        tier = DiskTier(
            reactor,  # type: ignore[arg-type]
            root,
            max_bytes=max_bytes,
            capacity=100,
            on_fault=lambda tier, fault: self.faults.append((tier, fault)),
        )
        tier.start()

        async def close() -> None:
            await tier.close()

        self.addCleanup(close)
        return tier

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

    async def test_a_hybrid_cache_promotes_what_the_disk_has(self) -> None:
        memory = MemoryTier(10**6, 10)
        cache = Cache(reactor, "hybrid", [memory, self.tier])
        await self.tier.put(KEY, ENTRY)
        self.assertEqual(await cache.get(KEY), (ENTRY, "disk"))
        self.assertEqual(await cache.get(KEY), (ENTRY, "memory"))

    async def test_an_entry_is_gone_after_its_time(self) -> None:
        cache = Cache(reactor, "disk", [self.tier], ttl=60)
        fresh = replace(ENTRY, stored_at=time.time())
        await cache.put(KEY, fresh)
        self.assertEqual(await cache.get(KEY), (fresh, "disk"))
        await cache.put(KEY, replace(ENTRY, stored_at=time.time() - 61))
        self.assertIsNone(await cache.get(KEY))
        self.assertFalse(entry_path(self.root, KEY).exists())
