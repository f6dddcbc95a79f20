"""Sweeps: what removes purged entries from a bucket, and old purges after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.bucket import BucketTier
from imgforge.cache.purge import FINAL_AFTER
from imgforge.model import CacheEntry, Purge
from imgforge.object_stores import ObjectStoreError
from tests.support.cache_directory import ENTRY, number_key
from tests.support.logged_lines import logged_lines
from tests.support.memory_objects import LearntPurges, MemoryObjects

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86400


class SweepCase(SynchronousTestCase):
    keep = 0.0

    def setUp(self) -> None:
        self.lines = logged_lines(self)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = MemoryObjects(self.clock)
        self.tier = self.node()

    def node(self) -> BucketTier:
        tier = BucketTier(self.clock, "s3", self.store.user(0), "p", self.keep)  # type: ignore[arg-type]
        tier._sweeping._chance = lambda: 0.0
        self.successResultOf(tier.start(LearntPurges()))
        self.addCleanup(tier.close)
        return tier

    def put(self, key: bytes, **changes: object) -> CacheEntry:
        now = self.clock.seconds()
        entry = replace(ENTRY, stored_at=now, asked_at=now - 1, **changes)  # type: ignore[arg-type]
        self.successResultOf(self.tier.put(key, entry))
        return entry

    def purge(self, kind: str, value: str) -> int:
        return self.successResultOf(self.tier.purge(Purge(self.clock.seconds(), kind, value)))  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        """In steps of a listing, or of minutes where that is long."""
        step = 3.0 if seconds < HOUR else 60.0
        self.clock.pump([step] * int(seconds / step))

    def names(self) -> list[str]:
        return sorted(name.removeprefix("p/") for name in self.store.objects)


class PurgeTests(SweepCase):
    def test_few_entries_are_removed_at_once_and_counted(self) -> None:
        keys = [number_key(number << 240) for number in range(6000, 66000, 6000)]
        for number, key in enumerate(keys):
            self.put(key, source=f"http://x/{number % 2}", tags=("t",) if number < 3 else ())
        self.store.objects["p/" + "0" * 63] = b"not ours", NOW
        self.store.objects["p/" + "0" * 64] = b"damaged", NOW
        self.assertEqual(self.purge("tag", "t"), 3)
        self.assertEqual(self.purge("source", "http://x/1"), 4)
        self.assertEqual(self.purge("prefix", "http://x"), 3)
        self.assertEqual(len([name for name in self.names() if not name.startswith("purges/")]), 2)

    def test_all_variants_of_a_url_go_by_their_names(self) -> None:
        for number in (*range(7), 256**12):  # the last differs in the URL's part of the key
            self.put(number_key(number))
        self.assertEqual(self.purge("url", bytes(20).hex()), 7)
        self.assertEqual(self.names()[0], number_key(256**12).hex())
        calls = self.tier._store.calls  # type: ignore[attr-defined]
        self.assertNotIn("get_start", calls)

    def test_many_entries_are_not_read_for_a_purge(self) -> None:
        self.put(bytes(32))
        ours = self.store.objects[f"p/{bytes(32).hex()}"]
        for number in range(1, 300):
            self.store.objects[f"p/{number_key(number).hex()}"] = ours
        calls = self.tier._store.calls  # type: ignore[attr-defined]
        calls.clear()
        self.assertEqual(self.purge("source", "http://another"), 0)
        self.assertLess(calls.count("get_start"), 260)  # a sixteenth of too many

    def test_an_entry_of_long_metadata_is_read_whole(self) -> None:
        self.put(bytes(32), source_headers=(("x", "y" * 9000),))
        self.assertEqual(self.purge("source", ENTRY.source), 1)

    def test_a_store_that_hangs_delays_the_count_for_seconds_only(self) -> None:
        self.put(bytes(32))
        store = self.tier._store
        purging = self.tier.purge(Purge(NOW, "source", ENTRY.source))
        self.assertEqual(self.successResultOf(purging), 1)
        store.hung = True  # type: ignore[attr-defined]
        counting = self.tier._remover.remove(Purge(NOW, "tag", "a"))
        self.assertNoResult(counting)
        self.clock.advance(5)
        self.assertEqual(self.successResultOf(counting), 0)


class SweepTests(SweepCase):
    def leave_purged(self) -> None:
        """An entry that a purge covers and has not removed, one that it does not cover, and the purge."""
        purged = self.put(bytes(32), tags=("a",))
        self.clock.advance(10)
        self.assertEqual(self.purge("tag", "a"), 1)
        self.clock.advance(10)
        self.successResultOf(self.tier.put(bytes(32), purged))  # by a request that began before it
        self.put(number_key(1), tags=("a",))

    def test_a_sweep_removes_what_was_purged_and_then_the_purge(self) -> None:
        self.leave_purged()
        self.pass_time(HOUR - 60)
        self.assertEqual(len(self.names()), 3)
        self.assertLess(self.tier.purged_before(), NOW + 11)
        self.pass_time(HOUR)
        self.assertEqual(self.names(), [number_key(1).hex(), "purges/swept"])
        self.assertGreater(self.tier.purged_before(), NOW + HOUR)
        self.assertTrue(any("removed 1 purged entries and the 1 purges" in line for line in self.lines))

    def test_the_fleet_sweeps_once_a_day(self) -> None:
        others = [self.node() for _ in range(3)]
        self.leave_purged()
        self.pass_time(2 * HOUR)
        self.assertEqual(self.names(), [number_key(1).hex(), "purges/swept"])
        self.purge("tag", "b")
        reads = [node._store.calls for node in (self.tier, *others)]  # type: ignore[attr-defined]
        for calls in reads:
            calls.clear()
        self.pass_time(12 * HOUR)
        self.assertEqual(sum(calls.count("get_start") for calls in reads), 0)
        self.pass_time(DAY)
        self.assertEqual(self.names(), [number_key(1).hex(), "purges/swept"])

    def test_a_sweep_that_fails_keeps_the_purges(self) -> None:
        self.leave_purged()
        store = self.tier._store
        sweep = self.tier._remover.sweep

        async def failing(purges: dict[str, Purge]) -> int:
            store.fault = "s3://cache answered 503"  # type: ignore[attr-defined]
            return await sweep(purges)

        self.tier._remover.sweep = failing  # type: ignore[method-assign]
        self.pass_time(2 * HOUR)
        self.assertEqual(len([name for name in self.names() if name.endswith(".json")]), 1)
        self.assertTrue(any("old purges stay in the bucket until the next sweep" in line for line in self.lines))

    def fail_calls(self, method: str, begins: str, faults: int) -> None:
        """Have the store refuse so many calls of *method* for names that begin so."""
        store: Any = self.tier._store
        call, faulty = getattr(store, method), iter(range(faults))

        def failing(name: str, *arguments: object) -> Any:
            if name.startswith(begins) and next(faulty, None) is not None:
                return fail(ObjectStoreError("s3://cache answered 503"))
            return call(name, *arguments)

        self.patch(store, method, failing)

    def test_a_sweep_tries_an_entry_again_that_could_not_be_read(self) -> None:
        self.leave_purged()
        self.fail_calls("get_start", "p/", 2)
        self.pass_time(2 * HOUR)
        self.assertEqual([name for name in self.names() if name.endswith(".json")], [])

    def test_a_sweep_tries_a_listing_again_that_failed(self) -> None:
        self.leave_purged()
        self.fail_calls("page", "p/7", 2)
        self.pass_time(2 * HOUR)
        self.assertEqual([name for name in self.names() if name.endswith(".json")], [])
        self.assertFalse(any("old purges stay" in line for line in self.lines))

    def test_the_log_names_an_entry_that_can_never_be_read(self) -> None:
        self.leave_purged()
        self.fail_calls("get_start", "p/", 1000)
        self.pass_time(2 * HOUR)
        (line,) = (line for line in self.lines if "old purges stay" in line)
        self.assertIn(f"2 entries could not be read, the first is p/{bytes(32).hex()} (s3://cache answered 503)", line)


class KeepTests(SweepCase):
    keep = 300.0

    def test_purges_go_without_a_sweep_once_all_that_they_cover_has_expired(self) -> None:
        self.put(bytes(32))
        self.purge("tag", "a")
        calls = self.tier._store.calls  # type: ignore[attr-defined]
        calls.clear()
        self.pass_time(300 + FINAL_AFTER - 10)
        self.assertEqual(len(self.names()), 2)
        self.pass_time(30)
        self.assertEqual(self.names(), [bytes(32).hex()])
        self.assertNotIn("get_start", calls)
