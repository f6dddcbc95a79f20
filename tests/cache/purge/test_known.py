"""The purges that a process knows: of which tier whatever, told once, and forgotten when no tier needs them."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.purge import FINAL_AFTER, KnownPurges, known
from imgforge.config import Settings
from imgforge.model import Purge
from tests.support.cache_directory import ENTRY, KEY

HERO = replace(ENTRY, tags=("hero",), asked_at=50.0)


class KnownPurgesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.known = KnownPurges(self.clock.seconds)
        self.dropped = 0
        self.known.add_observer(self.drop)

    def drop(self) -> None:
        self.dropped += 1

    def test_a_purge_that_is_told_several_times_is_one(self) -> None:
        purge = Purge(100.0, "tag", "hero")
        for purges, replaced in (([purge], False), ([purge], False), ([], True), ([purge], True)):
            self.known.learn(purges, replaced=replaced)
            self.assertTrue(self.known.covers(KEY, HERO))
        self.known.learn([Purge(90.0, "tag", "hero")])
        self.assertEqual((len(self.known), self.dropped), (1, 1))
        self.known.learn([Purge(110.0, "tag", "hero"), Purge(100.0, "source", "http://y")])
        self.assertEqual((len(self.known), self.dropped), (2, 2))
        self.assertEqual(self.known.last_purge(KEY, "", ["hero"]), 110.0)

    def test_it_is_forgotten_once_nothing_can_be_made_and_no_tier_has_anything_left_that_it_covers(self) -> None:
        self.known.learn([Purge(100.0, "tag", "hero")])
        for advance, needed_since, left in (
            (0, math.inf, 1),  # a request that began before the purge may be under way
            (FINAL_AFTER + 1, 1000.0, 1),  # a tier has looked for purged entries, before this process knew of the purge
            (0, -math.inf, 1),
            (0, 1000.5, 0),
        ):
            self.clock.advance(advance)
            self.known.forget(needed_since)
            self.assertEqual((len(self.known), self.known.covers(KEY, HERO)), (left, bool(left)))

    def test_it_is_not_forgotten_before_the_longest_request_and_one_that_joined_it_have_ended(self) -> None:
        longest = Settings.fields["timeout"].bounds.le
        self.assertLessEqual(2 * (longest or math.inf), FINAL_AFTER)

    def test_a_sweep_is_needed_for_what_was_learned_since_the_last_one(self) -> None:
        self.known.learn([Purge(100.0, "tag", "hero")])
        self.assertFalse(self.known.final_unswept(0.0))
        self.clock.advance(FINAL_AFTER + 1)
        self.assertTrue(self.known.final_unswept(999.0))
        self.assertFalse(self.known.final_unswept(1001.0))

    def test_the_first_look_ups_wait_for_all_tiers(self) -> None:
        slow: Deferred[None] = Deferred()
        self.known.load([succeed(None), slow, fail(OSError("down"))])
        first, second = (Deferred.fromCoroutine(self.known.loaded()) for _ in range(2))
        second.cancel()
        second.addErrback(lambda _: None)
        self.assertNoResult(first)
        slow.callback(None)
        self.successResultOf(first)
        self.successResultOf(Deferred.fromCoroutine(self.known.loaded()))


class ManyPurgesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(known, "_MOST_UNPACKED", 10)
        self.clock = Clock()
        self.clock.advance(1000)
        self.known = KnownPurges(self.clock.seconds)

    def purges(self, count: int) -> list[Purge]:
        return [Purge(100.0 + number, "source", f"http://o/{number}") for number in range(count)]

    def covered(self, count: int) -> list[bool]:
        entries = [replace(ENTRY, source=f"http://o/{number}", asked_at=50.0) for number in range(count)]
        return [self.known.covers(KEY, entry) for entry in entries]

    def test_all_are_known_and_those_that_are_told_again_are_not_new(self) -> None:
        dropped: list[bool] = []
        self.known.add_observer(
            lambda: dropped.append(self.known.covers_unpacked(KEY, replace(ENTRY, source="http://o/0")))
        )
        for one in self.purges(95):
            self.known.learn([one])
        self.assertEqual((len(self.known), self.covered(96)), (95, [True] * 95 + [False]))
        self.assertEqual(self.known.last_purge(KEY, "http://o/3", ()), 103.0)
        self.known.learn(self.purges(95))
        self.assertEqual((len(self.known), len(dropped)), (95, 95))
        self.known.learn([Purge(200.0, "source", "http://o/3")])
        self.assertEqual((len(dropped), self.known.last_purge(KEY, "http://o/3", ())), (96, 200.0))

    def test_entries_in_memory_are_dropped_for_all_that_come_at_once(self) -> None:
        dropped: list[bool] = []

        def drop() -> None:
            entries = [replace(ENTRY, source=f"http://o/{number}", asked_at=50.0) for number in range(40)]
            dropped.extend(self.known.covers_unpacked(KEY, entry) for entry in entries)

        self.known.add_observer(drop)
        self.known.learn(self.purges(40))
        self.assertEqual(dropped, [True] * 40)

    def test_they_are_forgotten_as_the_others(self) -> None:
        self.known.learn(self.purges(30))
        self.clock.advance(FINAL_AFTER + 1)
        self.known.learn([Purge(1500.0, "tag", "late")])
        self.known.forget(999.0)
        self.assertEqual(self.covered(30), [True] * 30)
        self.assertTrue(self.known.final_unswept(1000.0))
        self.known.forget(math.inf)
        self.assertEqual((len(self.known), self.covered(30)), (1, [False] * 30))
        self.assertFalse(self.known.final_unswept(1000.0))

    def test_many_take_little_memory(self) -> None:
        self.patch(known, "_MOST_UNPACKED", 100)
        self.known.learn(self.purges(200))  # which makes the first table
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            self.known.learn([Purge(2.0, "source", f"http://origin.example.com/products/images/{number:08}.jpg")])
        after, _ = tracemalloc.get_traced_memory()
        self.assertEqual(len(self.known), 20_200)
        self.assertLess(after - before, 1_000_000)  # unpacked they take ten times as many bytes
