"""Purging: what one process purges is gone for all, from memory and from disk, and stays gone."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from imgforge.cache import (
    URL_BYTES,
    Cache,
    CacheSettings,
    DiskLimits,
    PurgeKind,
    disk,
    entry_path,
    make_cache,
    sweep,
    write_entry,
)
from imgforge.cache.eviction import janitor
from imgforge.cache.purge import PurgeFollower, follower, known
from imgforge.cache.purge.journal import Journal
from imgforge.errors import PurgeFailed
from imgforge.model import CacheEntry, Purge
from tests.support.cache_directory import ENTRY, number_key


def entry(number: int, *tags: str) -> CacheEntry:
    now = time.time()
    return replace(ENTRY, source=f"http://x/{number % 3}/{number}.jpg", tags=tags, stored_at=now, asked_at=now)


class PurgingTests(TestCase):
    def setUp(self) -> None:
        for module in (disk, follower):  # a busy machine is no dead disk
            self.patch(module, "_PATIENCE", 60.0)
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.running: Any = reactor

    def process(self, kind: str = "hybrid", root: str = "") -> Cache:
        root = root or self.root
        cache = make_cache(self.running, CacheSettings(kind, disk_path=root, directory=root), lambda *_: None)
        assert cache is not None
        cache.startService()

        async def close() -> None:
            await cache.stopService()

        self.addCleanup(close)
        return cache

    async def fill(self, *caches: Cache, count: int = 9) -> None:
        for number in range(count):
            made = entry(number, "odd" if number % 2 else "even", "all")
            for cache in caches:
                await cache.put(number_key(number), made)

    async def left(self, cache: Cache, count: int = 9) -> list[int]:
        return [number for number in range(count) if await cache.get(number_key(number)) is not None]

    async def until_left(self, cache: Cache, numbers: list[int]) -> None:
        while await self.left(cache) != numbers:
            await deferLater(self.running, 0.02)

    async def test_each_kind_is_gone_everywhere_and_counted(self) -> None:
        for kind, value, gone in (
            ("source", "http://x/2/5.jpg", {5}),
            ("prefix", "http://x/1/", {1, 4, 7}),
            ("tag", "odd", {1, 3, 5, 7}),
        ):
            here, there = self.process(), self.process()
            await self.fill(here, there)
            kept = [number for number in range(9) if number not in gone]
            self.assertEqual(await here.purge(kind, value), len(gone))  # type: ignore[arg-type]
            self.assertEqual(await self.left(here), kept)
            self.assertEqual([n for n in range(9) if entry_path(self.root, number_key(n)).exists()], kept)
            await self.until_left(there, kept)

    async def test_a_url_is_gone_in_all_its_variants(self) -> None:
        cache, other = self.process(), self.process()
        url, another = bytes(URL_BYTES), bytes(URL_BYTES - 1) + b"\1"
        keys = [url + bytes([variant]) * 12 for variant in range(3)] + [another + bytes(12)]
        for key in keys:
            await cache.put(key, entry(1))
            await other.get(key)
        self.assertEqual(await cache.purge("url", url.hex()), 3)
        self.assertEqual([await cache.get(key) is not None for key in keys], [False] * 3 + [True])
        while await other.get(keys[0]) is not None:
            await deferLater(self.running, 0.02)

    async def test_memories_without_a_disk_learn_by_the_directory(self) -> None:
        here, there = self.process("memory"), self.process("memory")
        await self.fill(here, there)
        self.assertEqual(await here.purge("tag", "odd"), 4)
        await self.until_left(there, [0, 2, 4, 6, 8])

    async def test_a_process_alone_needs_no_directory(self) -> None:
        cache = make_cache(self.running, CacheSettings("memory"), lambda *_: None)
        assert cache is not None
        await self.fill(cache)
        self.assertEqual(await cache.purge("prefix", "http://x/"), 9)
        self.assertEqual(await self.left(cache), [])

    async def test_what_was_under_way_is_not_kept_and_what_is_new_is(self) -> None:
        here, there = self.process(), self.process()
        await there.get(number_key(0))
        under_way = entry(1)
        await here.purge("source", under_way.source)
        await here.put(number_key(1), under_way)
        self.assertIsNone(await here.get(number_key(1)))
        fresh = entry(1)
        await here.put(number_key(1), fresh)
        self.assertEqual((await here.get(number_key(1)) or (None,))[0], fresh)
        # Written by a process that does not know yet:
        write_entry(entry_path(self.root, number_key(2)), number_key(2), under_way)
        self.assertIsNone(await here.get(number_key(2)))

    async def test_who_starts_later_knows_at_its_first_look_up(self) -> None:
        cache = self.process()
        stale = entry(1)
        await cache.purge("source", stale.source)
        write_entry(entry_path(self.root, number_key(1)), number_key(1), stale)
        self.assertIsNone(await self.process("disk").get(number_key(1)))

    async def test_purges_at_once_are_counted_apart(self) -> None:
        cache = self.process()
        await self.fill(cache, count=30)
        counts = [purging(cache, "tag", tag) for tag in ("odd", "even", "none")]
        self.assertEqual([await one for one in counts], [15, 15, 0])

    async def test_where_others_cannot_be_told_it_says_so(self) -> None:
        blocked = Path(self.root, "file")
        blocked.write_text("in the way")
        cache = self.process(root=str(blocked))
        await self.fill(cache)
        with self.assertRaises(PurgeFailed):
            await cache.purge("tag", "all")
        self.assertEqual(await self.left(cache), [])

    async def test_a_failure_of_what_follows_a_purge_is_logged_and_followed_by_the_next(self) -> None:
        here, there = self.process("memory"), self.process("memory")
        await self.fill(here, there)

        def fail() -> None:
            raise RuntimeError("no way to drop it")

        there._purges._observers.insert(0, fail)
        with capturedLogs() as events:
            await here.purge("tag", "odd")
            await self.until_left(there, [0, 2, 4, 6, 8])
            await here.purge("tag", "even")
            await self.until_left(there, [])
        failures = [event for event in events if event["log_level"] is LogLevel.critical]
        self.assertEqual([event["log_failure"].type for event in failures], [RuntimeError] * 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    async def test_a_journal_that_cannot_be_read_is_told_and_followed_again(self) -> None:
        here, there = self.process("memory"), self.process("memory")
        await self.fill(here, there)
        journal = Path(self.root, "purges")
        with capturedLogs() as events:
            journal.symlink_to("elsewhere")
            while not events:
                await deferLater(self.running, 0.02)
            journal.unlink()
            await here.purge("tag", "odd")
            await self.until_left(there, [0, 2, 4, 6, 8])
        warned = {formatEvent(event) for event in events if event["log_level"] is LogLevel.warn}
        self.assertEqual(len(warned), 1)
        self.assertIn(self.root, warned.pop())

    async def test_what_a_slow_medium_tells_late_is_learnt(self) -> None:
        self.patch(follower, "_PATIENCE", 0.02)
        follows = PurgeFollower(self.running, self.root)
        self.addCleanup(follows.close)
        learnt: list[Purge] = []
        read_new, answers = follows._journal.read_new, threading.Event()

        def read_slowly() -> tuple[bool, list[Purge]]:
            read = read_new()
            answers.wait(20)
            return read

        purge = Purge(time.time(), "tag", "odd")
        Journal(self.root).append(purge)
        follows._journal.read_new = read_slowly  # type: ignore[method-assign]

        def learn(purges: Sequence[Purge], *, replaced: bool = False) -> None:
            learnt.extend(purges)

        await follows.start(learn)  # and has given up
        self.assertEqual(learnt, [])
        answers.set()
        while not learnt:
            await deferLater(self.running, 0.02)
        self.assertEqual(learnt, [purge])

    async def test_a_sweep_removes_what_old_purges_left_and_then_forgets_them(self) -> None:
        self.patch(known, "FINAL_AFTER", 0.1)
        self.patch(janitor, "FINAL_AFTER", 0.1)
        long_ago = time.time() - 1000
        Path(self.root, "purges").write_text(f'{"0" * 32}\n{{"at":{long_ago},"kind":"tag","value":"odd"}}\n')
        old = replace(ENTRY, stored_at=1.0, asked_at=1.0)
        for number in range(4):
            tags = ("odd",) if number % 2 else ()
            path = entry_path(self.root, number_key(number))
            write_entry(path, number_key(number), replace(old, tags=tags))
        self.process("disk")
        while '"tag"' in Path(self.root, "purges").read_text():
            await deferLater(self.running, 0.02)
        swept = sweep(self.root, DiskLimits())
        self.assertEqual(swept and swept.entries, 2)


def purging(cache: Cache, kind: PurgeKind, value: str) -> Deferred[int]:
    return Deferred.fromCoroutine(cache.purge(kind, value))
