"""The cache in front of its tiers: promotion, purges, types."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from imgforge.cache import Cache, CacheSettings, DiskTier, MemoryTier, Purge, SharedTierSettings, make_cache
from imgforge.errors import PurgeFailed
from imgforge.interfaces import ILease, LeaseAttempt
from imgforge.model import CacheEntry
from imgforge.testing import FaultyTier
from tests.support.cache_directory import ENTRY, KEY, ThreadedClock, number_key


def no_fault(tier: str, fault: str) -> None:
    raise AssertionError(f"{fault} on {tier}")


class CacheTests(TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.clock: Any = ThreadedClock()

    def make(self, kind: str) -> Cache:
        cache = make_cache(self.clock, CacheSettings(kind, disk_path=self.root), no_fault)
        assert cache is not None
        cache.startService()

        async def close() -> None:
            await cache.stopService()

        self.addCleanup(close)
        return cache

    async def test_a_hybrid_cache_promotes_what_the_disk_has(self) -> None:
        await self.make("disk").put(KEY, ENTRY)
        cache = self.make("hybrid")
        self.assertEqual(await cache.get(KEY), (ENTRY, "disk"))
        self.assertEqual(await cache.get(KEY), (ENTRY, "memory"))

    async def test_what_is_removed_is_gone_from_every_tier(self) -> None:
        cache = self.make("hybrid")
        await cache.put(KEY, ENTRY)
        self.assertTrue(await cache.remove(KEY))
        self.assertIsNone(await cache.get(KEY))
        self.assertFalse(await cache.remove(KEY))

    async def test_a_body_is_weighed_where_it_is(self) -> None:
        for kind in ("memory", "disk", "hybrid"):
            cache = self.make(kind)
            self.assertEqual(await cache.size_of(KEY), 0)
            await cache.put(KEY, ENTRY)
            self.assertApproximates(await cache.size_of(KEY), len(ENTRY.rendition.body), 1000)
            await cache.remove(KEY)


@implementer(ILease)
class HeldLease:
    """The lease of another process, which has put an entry."""

    def attempt(self) -> Deferred[LeaseAttempt]:
        return succeed(LeaseAttempt(taken=False, present=True, outcome=None))

    def release(self, outcome: bytes | None, written: Deferred[Any]) -> None:
        """Release nothing."""


class SharedTierTests(SynchronousTestCase):
    """Memory, a tier in the place of the disk, and a shared one."""

    def setUp(self) -> None:
        self.clock = ThreadedClock()
        self.clock.advance(2000)
        self.memory = MemoryTier(1_000_000, 100)
        self.near, self.far = FaultyTier("near"), FaultyTier("far")
        self.cache = Cache(self.clock.as_reactor, "all", self.memory, [self.near, self.far])
        self.cache.startService()

    def get(self) -> tuple[CacheEntry, str] | None:
        return self.successResultOf(Deferred.fromCoroutine(self.cache.get(KEY)))

    def test_a_hit_in_a_slower_tier_fills_the_faster_ones_and_does_not_wait_for_them(self) -> None:
        self.far.entries.put(KEY, ENTRY)
        hanging: Deferred[None] = Deferred()
        self.patch(self.near, "put", lambda *_: hanging)
        self.assertEqual(self.get(), (ENTRY, "far"))
        self.assertEqual(self.get(), (ENTRY, "memory"))
        self.memory.remove(KEY)
        hanging.errback(OSError("full"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_purged_entry_is_passed_over_for_a_newer_one_in_a_slower_tier(self) -> None:
        newer = replace(ENTRY, stored_at=1900.0)
        self.near.entries.put(KEY, ENTRY)
        self.far.entries.put(KEY, newer)
        self.tell([Purge(1500.0, "source", ENTRY.source)])
        self.assertEqual(self.get(), (newer, "far"))
        self.assertEqual(self.get(), (newer, "memory"))

    def tell(self, purges: list[Purge]) -> None:
        """Have another node tell of *purges*."""
        self.cache._purges.learn(purges)

    def test_what_another_node_purges_is_dropped_from_memory_and_not_served_from_any_tier(self) -> None:
        self.successResultOf(self.cache.put(KEY, ENTRY))
        self.tell([Purge(1500.0, "source", ENTRY.source)])
        self.assertEqual(len(self.memory), 0)
        self.assertIsNone(self.get())
        self.assertEqual((len(self.near.entries), len(self.far.entries)), (0, 0))

    def test_work_that_another_process_has_done_is_found_behind_a_stale_entry(self) -> None:
        fresh = replace(ENTRY, etag="fresh")
        self.memory.put(KEY, ENTRY)
        self.far.entries.put(KEY, fresh)
        lease = HeldLease()
        self.patch(self.far, "lease", lambda _: lease)

        async def make() -> str:
            raise AssertionError("it is made")

        def serve(entry: CacheEntry) -> str | None:
            return entry.etag if entry is fresh else None

        found = Deferred.fromCoroutine(self.cache.once(KEY, make, serve))
        self.assertEqual(self.successResultOf(found), "fresh")
        self.assertEqual(self.get(), (fresh, "memory"))

    def test_a_purge_reaches_each_tier_and_tells_how_many_entries_the_fullest_had(self) -> None:
        self.far.entries.put(number_key(1), ENTRY)
        self.successResultOf(self.cache.put(KEY, ENTRY))
        purging = Deferred.fromCoroutine(self.cache.purge("source", ENTRY.source))
        self.assertEqual(self.successResultOf(purging), 2)
        self.assertEqual([len(tier.entries) for tier in (self.near, self.far)], [0, 0])

    def test_a_purge_that_one_tier_refuses_is_obeyed_by_the_others_and_said(self) -> None:
        self.successResultOf(self.cache.put(KEY, ENTRY))
        self.near.error = PurgeFailed("no room")
        purging = Deferred.fromCoroutine(self.cache.purge("source", ENTRY.source))
        self.failureResultOf(purging, PurgeFailed)
        self.assertEqual((len(self.memory), len(self.far.entries)), (0, 0))
        self.near.error = None
        self.assertIsNone(self.get())

    def test_purges_are_forgotten_once_all_tiers_say_so(self) -> None:
        self.tell([Purge(500.0, "tag", "x")])
        before = [0.0]
        self.patch(self.far, "purged_before", lambda: before[0])
        self.clock.pump([60.0] * 20)
        self.assertEqual(len(self.cache._purges), 1)
        before[0] = 2001.0
        self.clock.advance(60)
        self.assertEqual(len(self.cache._purges), 0)

    def test_a_tier_that_cannot_be_closed_keeps_no_other_open(self) -> None:
        self.near.error = OSError("stuck")
        self.successResultOf(self.cache.stopService())
        self.assertEqual([tier.calls for tier in (self.near, self.far)], [["start", "close"]] * 2)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class TypeTests(SynchronousTestCase):
    def made(self, kind: str) -> tuple[str, list[type]] | None:
        cache = make_cache(ThreadedClock(), CacheSettings(kind, disk_path="/nowhere"), no_fault)  # type: ignore[arg-type]
        return None if cache is None else (cache.name, [type(tier) for tier in cache.tiers])

    def test_types_have_tiers(self) -> None:
        for kind, made in (
            ("", None),
            ("memory", ("memory", [MemoryTier])),
            ("disk", ("disk", [DiskTier])),
            ("filesystem", ("disk", [DiskTier])),
            ("fs", ("disk", [DiskTier])),
            ("hybrid", ("hybrid", [MemoryTier, DiskTier])),
        ):
            self.assertEqual(self.made(kind), made, kind)

    def test_an_unknown_type_is_named_rather_than_ignored(self) -> None:
        with self.assertRaisesRegex(ValueError, "'redis'"):
            self.made("redis")

    def test_an_unknown_shared_cache_is_named_with_those_that_there_are(self) -> None:
        settings = CacheSettings("memory", shared=SharedTierSettings("rediss"))
        with self.assertRaisesRegex(ValueError, "'rediss' must be one of fs, redis, .*did you mean redis"):
            make_cache(ThreadedClock().as_reactor, settings, no_fault)
