"""The cache in front of its tiers: promotion, types."""

from __future__ import annotations

import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from imgforge.cache import Cache, CacheSettings, DiskTier, MemoryTier, make_cache
from tests.support.cache_directory import ENTRY, KEY, ThreadedClock


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
