"""The tier in a bucket: entries, against a real S3; what each says of itself; purges; faults; its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from importlib import import_module
from threading import current_thread
from unittest.mock import patch

from twisted.internet.defer import CancelledError, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from imgforge.cache import CorruptEntry, OldEntry, Purges
from imgforge.cache.bucket import BucketTier
from imgforge.errors import PurgeFailed
from imgforge.interfaces import ICacheTier
from imgforge.model import CacheEntry, Purge
from imgforge.object_stores import IObjectStore, ObjectStoreError
from imgforge.sources import BucketUse, S3Settings, SourceSettings, open_bucket
from tests.support.cache_directory import ENTRY, KEY, number_key, sized
from tests.support.memory_objects import LearntPurges, MemoryObjects
from tests.support.scripted_origin import until
from tests.support.server_reactor import server_reactor
from tests.support.versity_server import VersityServer

NOW = 1_800_000_000.0
FRESH = replace(ENTRY, stored_at=NOW - 5, asked_at=NOW - 10)


def _spy(name: str, size: Callable[..., int], calls: dict[bool, list[int]]) -> AbstractContextManager[object]:
    """Has the function called *name* add the size of what it is called with to *calls*, by whether that is here."""
    module, _, function = name.rpartition(".")
    called, here = getattr(import_module(module), function), current_thread()

    def spying(*arguments: object) -> object:
        calls[current_thread() is here].append(size(*arguments))
        return called(*arguments)

    return patch(name, spying)


class VersityTests(TestCase):
    """Two nodes share a bucket of a real S3."""

    timeout = 60
    server: VersityServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = VersityServer("cache")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()

    def setUp(self) -> None:
        environment = patch.dict(os.environ, self.server.environment)
        environment.start()
        self.addCleanup(environment.stop)

    async def node(self, prefix: str) -> tuple[BucketTier, list[Purge]]:
        """A started tier, and the purges that it learns of."""
        use = BucketUse("cache", S3Settings(region="us-east-1", endpoint=self.server.url))
        store = open_bucket(server_reactor, SourceSettings(), use)
        self.patch(store, "ahead", lambda: 0.0)  # a store that stood still for seconds stamps its answers with the past
        tier = BucketTier(server_reactor, "s3", store, prefix, 0)
        self.addCleanup(tier.close)
        learnt = LearntPurges()
        await tier.start(learnt)
        return tier, learnt

    async def test_what_a_node_puts_the_other_gets(self) -> None:
        one, _ = await self.node("images/a")
        other, _ = await self.node("images/a")
        self.assertIsNone(await other.get(KEY))
        self.assertEqual(await other.size_of(KEY), 0)
        await one.put(KEY, ENTRY)
        self.assertEqual(await other.get(KEY), ENTRY)
        size, body = await other.size_of(KEY), len(ENTRY.rendition.body)
        self.assertTrue(body < size < body + 1000, size)
        self.assertEqual(self.server.names("cache").count(f"images/a/{KEY.hex()}"), 1)
        newer = replace(ENTRY, stored_at=2000.0)
        await other.put(KEY, newer)
        self.assertEqual(await one.get(KEY), newer)
        self.assertTrue(await one.remove(KEY))
        self.assertIsNone(await other.get(KEY))
        self.assertFalse(await one.remove(KEY))

    async def test_long_entries_are_hashed_on_other_threads_than_the_reactors(self) -> None:
        # The sizes of what is hashed, by whether that is on the reactor's thread.
        hashed: dict[bool, list[int]] = {True: [], False: []}
        with ExitStack() as spying:
            for name, size in (
                ("imgforge.cache.bucket.tier.encode", lambda _key, entry: len(entry.rendition.body)),
                ("imgforge.cache.bucket.tier.decode", lambda _key, data, _longest: len(data)),
                ("imgforge.sources.stores.objects_s3.payload_of", len),
            ):
                spying.enter_context(_spy(name, size, hashed))
            node, _ = await self.node("long")
            for body in (1000, 2 << 20):
                entry = sized(body)
                await node.put(KEY, entry)
                self.assertEqual(await node.get(KEY), entry)
        self.assertEqual(len(hashed[True]), 3)
        self.assertLess(max(hashed[True]), 2000)
        self.assertEqual(len(hashed[False]), 3)
        self.assertGreaterEqual(min(hashed[False]), 2 << 20)

    async def test_an_object_under_another_name_is_a_miss_and_is_removed(self) -> None:
        tier, _ = await self.node("other")
        await tier.put(KEY, ENTRY)
        place = self.server.objects / "cache" / "other"
        (place / number_key(1).hex()).write_bytes((place / KEY.hex()).read_bytes())
        await self.assertFailure(tier.get(number_key(1)), CorruptEntry)
        await tier.close()
        self.assertEqual(os.listdir(place), [KEY.hex()])

    async def test_purges_of_all_kinds_reach_the_other_node(self) -> None:
        one, _ = await self.node("purged")
        other, learnt = await self.node("purged")
        now = server_reactor.seconds()
        recent = replace(ENTRY, stored_at=now - 1, asked_at=now - 2)
        entries = {
            number_key(1): recent,
            number_key(2): replace(recent, source="http://b/2.jpg"),
            number_key(3): replace(recent, source="http://c/3.jpg", tags=("red", "tall")),
            b"\xff" * 32: replace(recent, source="http://d/4.jpg"),
        }
        purges = [
            Purge(now, "url", (b"\xff" * 32)[:20].hex()),
            Purge(now, "source", ENTRY.source),
            Purge(now, "tag", "red"),
            Purge(now, "prefix", "http://b/"),
        ]
        await gatherResults([one.put(key, entry) for key, entry in entries.items()])
        self.assertEqual([await one.purge(purge) for purge in purges], [1, 1, 1, 1])
        self.assertEqual([await other.get(key) for key in entries], [None] * 4)
        await until(lambda: len(learnt) == 4)
        self.assertEqual(sorted(learnt, key=str), sorted(purges, key=str))
        third, learnt = await self.node("purged")  # one that was away
        self.assertEqual(len(learnt), 4)
        self.assertLessEqual(third.purged_before(), now)


class MemoryCase(SynchronousTestCase):
    """A tier on a bucket in memory, at NOW."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = MemoryObjects(self.clock)
        self.tier = self.make(self.store)

    def make(self, store: IObjectStore, prefix: str = "", keep: float = 0) -> BucketTier:
        return BucketTier(self.clock, "s3", store, prefix, keep)  # type: ignore[arg-type]

    def get(self, tier: BucketTier, key: bytes = KEY) -> CacheEntry | None:
        return self.successResultOf(tier.get(key))


class EntryTests(MemoryCase):
    def test_it_is_a_tier_without_leases(self) -> None:
        verifyObject(ICacheTier, self.tier)
        verifyObject(IObjectStore, self.store)
        self.assertIsNone(self.tier.lease(KEY))
        self.assertIsNone(self.tier.usage())

    def test_the_name_of_an_object_begins_with_the_hash_and_its_type_is_no_image(self) -> None:
        self.successResultOf(self.tier.put(KEY, ENTRY))
        self.assertEqual(self.store.types, {KEY.hex(): "application/octet-stream"})
        prefixed = self.make(self.store, "a b/c", 86400)
        self.successResultOf(prefixed.put(KEY, ENTRY))
        self.assertEqual(self.store.lifetimes, {KEY.hex(): 0, f"a b/c/{KEY.hex()}": 86400})

    def test_an_entry_beyond_its_time_is_a_miss(self) -> None:
        tier = self.make(self.store, keep=3600)
        self.successResultOf(tier.put(KEY, replace(ENTRY, stored_at=NOW)))
        self.clock.advance(3600)
        self.assertIsNotNone(self.get(tier))
        self.clock.advance(1)
        self.assertIsNone(self.get(tier))

    def test_a_damaged_entry_is_removed(self) -> None:
        self.successResultOf(self.tier.put(KEY, ENTRY))
        whole = self.store.objects[KEY.hex()][0]
        for damaged in (b"", whole[:-1], whole + b"x", whole[:-1] + b"x", b"x" + whole[1:]):
            self.store.objects[KEY.hex()] = damaged, NOW
            self.failureResultOf(self.tier.get(KEY), CorruptEntry)
            self.assertEqual(self.store.objects, {})

    def test_an_entry_of_another_version_is_left_to_it(self) -> None:
        self.store.objects[KEY.hex()] = b"imgforg9" + bytes(100), NOW
        self.failureResultOf(self.tier.get(KEY), OldEntry)
        self.assertEqual(list(self.store.objects), [KEY.hex()])

    def test_an_entry_that_is_too_large_is_not_stored(self) -> None:
        error = self.failureResultOf(self.tier.put(KEY, sized(64 * 1024 * 1024 + 1)), OSError).value
        self.assertIn("File too large", str(error))
        self.assertEqual(self.store.calls, [])

    def test_an_object_that_is_too_long_is_removed_unread(self) -> None:
        self.store.objects[KEY.hex()] = bytes(66 * 1024 * 1024), NOW
        self.failureResultOf(self.tier.get(KEY), CorruptEntry)
        self.assertEqual(self.store.objects, {})

    def test_a_store_that_fails_fails_the_call(self) -> None:
        self.store.fault = "s3://cache answered 503"
        for failing in (self.tier.get(KEY), self.tier.size_of(KEY), self.tier.put(KEY, ENTRY), self.tier.remove(KEY)):
            self.assertIn("503", str(self.failureResultOf(failing, ObjectStoreError).value))

    def test_a_purge_that_cannot_be_recorded_fails(self) -> None:
        self.store.fault = "s3://cache answered 503"
        error = self.failureResultOf(self.tier.purge(Purge(NOW, "tag", "a")), PurgeFailed).value
        self.assertIn("503", error.logged)
        self.store.fault, self.store.hung = "", True
        purging = self.tier.purge(Purge(NOW, "tag", "a"))
        self.assertNoResult(purging)
        self.clock.advance(5)
        self.failureResultOf(purging, PurgeFailed)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_its_end_waits_for_writes_but_not_long(self) -> None:
        self.store.hung = True
        writing = self.tier.put(KEY, ENTRY)
        closing = self.tier.close()
        self.assertNoResult(closing)
        self.clock.advance(3)
        self.successResultOf(closing)
        self.failureResultOf(writing, CancelledError)
        self.assertTrue(self.store.closed)

    def test_a_call_that_is_cancelled_ends(self) -> None:
        self.store.hung = True
        for waiting in (self.tier.get(KEY), self.tier.size_of(KEY), self.tier.put(KEY, ENTRY), self.tier.remove(KEY)):
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)


class ClockTests(MemoryCase):
    """Nodes whose clocks differ from the store's, by minutes."""

    def node(self, ahead: float) -> BucketTier:
        """A tier of a node whose clock is *ahead* of the store's."""
        clock = Clock()
        clock.advance(NOW + ahead)
        return BucketTier(clock, "s3", self.store.user(-ahead), "", 0)  # type: ignore[arg-type]

    def test_times_in_the_bucket_are_the_stores(self) -> None:
        behind, early = self.node(-120), self.node(300)
        self.successResultOf(behind.put(KEY, FRESH))
        self.assertEqual(self.get(behind), FRESH)
        # The node whose clock is 420 s ahead of the other's sees the entry as old as it is.
        moved = self.get(early)
        self.assertEqual(moved, replace(FRESH, stored_at=NOW + 415, asked_at=NOW + 410))

    def test_an_entry_is_purged_whatever_the_clocks_say(self) -> None:
        # It is NOW by the store's clock. One node's clock is 300 s ahead, the other's 120 s behind.
        ahead, behind = self.node(300), self.node(-120)
        entry = replace(ENTRY, stored_at=NOW + 299, asked_at=NOW + 298)  # asked for 2 s ago
        self.successResultOf(ahead.put(KEY, entry))
        purge = Purge(NOW - 120, "source", ENTRY.source)
        covers = Purges([purge], lambda: NOW - 120).covers
        found = self.get(behind)
        assert found is not None
        self.assertTrue(covers(KEY, found))
        self.assertEqual(self.successResultOf(behind.purge(purge)), 1)
        self.assertIsNone(self.get(ahead))
        learnt = LearntPurges()
        self.successResultOf(ahead.start(learnt))
        # An entry that is made after the purge is not purged.
        self.assertFalse(Purges(learnt, lambda: NOW + 301).covers(KEY, replace(entry, asked_at=NOW + 301)))
        self.assertTrue(Purges(learnt, lambda: NOW + 301).covers(KEY, entry))
