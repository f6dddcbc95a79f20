"""Purges as objects: who learns of them and when, what is no purge, and when they may be forgotten."""

from __future__ import annotations

import math

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.bucket.object_names import ObjectNames
from imgforge.cache.bucket.purge_objects import PurgeObjects
from imgforge.cache.purge import FINAL_AFTER
from imgforge.model import Purge
from tests.support.logged_lines import logged_lines
from tests.support.memory_objects import LearntPurges, MemoryObjects

NOW = 1_800_000_000.0


class PurgeObjectsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = logged_lines(self)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = MemoryObjects(self.clock)
        self.names = ObjectNames("p")
        self.ages: list[float] = []

    def user(self, seconds_ahead: float = 0) -> tuple[PurgeObjects, list[Purge]]:
        """The purges as another process sees them, started; and what it has learnt."""
        learnt = LearntPurges()
        purges = PurgeObjects(self.clock, self.store.user(seconds_ahead), self.names, self.ages.append)
        self.successResultOf(purges.start(learnt))
        self.addCleanup(purges.stop)
        return purges, learnt

    def record(self, purges: PurgeObjects, purge: Purge) -> None:
        self.successResultOf(Deferred.fromCoroutine(purges.record(purge)))

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([1.0] * int(seconds))

    def test_others_learn_within_seconds_and_once(self) -> None:
        one, own = self.user()
        _, learnt = self.user()
        purge = Purge(NOW, "prefix", "http://ä/")
        self.record(one, purge)
        self.assertEqual(learnt, [])
        self.pass_time(10)
        self.assertEqual((own, learnt), ([], [purge]))
        (name,) = self.store.objects
        self.assertRegex(name, r"p/purges/1800000000000-[0-9a-f]{16}\.json")
        self.assertEqual(self.store.types[name], "application/json")

    def test_who_was_away_learns_all_at_the_start(self) -> None:
        one, _ = self.user()
        purges = [Purge(NOW + number, "tag", str(number)) for number in range(10)]
        for purge in purges:
            self.record(one, purge)
        self.pass_time(60)
        self.assertEqual(self.user()[1], purges)

    def test_what_is_no_purge_is_named_once_and_covers_nothing(self) -> None:
        texts = (b"", b"{", b"[" * 100_000, b'{"at": "x"}', b'{"at":1,"kind":"all","value":""}', b"\xff")
        for text in texts:
            self.store.objects[self.names.new_purge(NOW)] = text[:60000], NOW
        self.store.objects["p/purges/readme"] = b"x", NOW
        _, learnt = self.user()
        self.pass_time(30)
        self.assertEqual(learnt, [])
        self.assertEqual(len([line for line in self.lines if "is no purge" in line]), len(texts))

    def test_a_purge_that_cannot_be_read_keeps_no_other_from_being_learnt(self) -> None:
        self.store.objects[self.names.new_purge(NOW - 5)] = bytes(70_000), NOW  # it is too long
        one, _ = self.user()
        self.record(one, Purge(NOW, "tag", "a"))
        self.record(one, Purge(NOW + 1, "tag", "b"))
        *_, first, _ = sorted(self.store.objects)
        self.store.refused.add(first)
        other, learnt = self.user()
        self.assertEqual(learnt, [Purge(NOW, "tag", "b")])
        self.assertEqual(other.purged_before(), -math.inf)  # nothing may be forgotten yet
        self.assertTrue(any("refused" in line for line in self.lines))
        self.store.refused.clear()
        self.pass_time(5)
        self.assertEqual(learnt, [Purge(NOW, "tag", "b"), Purge(NOW, "tag", "a")])
        self.assertLess(other.purged_before(), NOW)

    def test_a_purge_from_the_future_covers_nothing_that_is_made_later(self) -> None:
        one, _ = self.user(seconds_ahead=3600)  # whose clock is an hour behind the store's, and it knows
        two, _ = self.user(seconds_ahead=0)  # and one that does not know that its clock is ahead
        self.record(one, Purge(NOW - 3600, "tag", "a"))
        self.record(two, Purge(NOW + 1000, "tag", "b"))
        self.assertEqual(self.user()[1], [Purge(NOW, "tag", "a"), Purge(NOW, "tag", "b")])

    def test_a_fault_is_warned_of_once_a_minute_and_the_next_listing_follows(self) -> None:
        one, learnt = self.user()
        other, _ = self.user()
        self.record(other, Purge(NOW, "tag", "a"))
        store = one._store
        assert isinstance(store, MemoryObjects)
        store.fault = "s3://cache answered 503"
        self.pass_time(30)
        self.assertEqual(len([line for line in self.lines if "503" in line]), 1)
        self.assertEqual(learnt, [])
        store.fault = ""
        self.pass_time(6)
        self.assertEqual(learnt, [Purge(NOW, "tag", "a")])

    def test_a_store_that_hangs_is_asked_again(self) -> None:
        one, learnt = self.user()
        other, _ = self.user()
        store = one._store
        assert isinstance(store, MemoryObjects)
        store.hung = True
        self.pass_time(5)
        store.hung = False
        self.record(other, Purge(NOW, "tag", "a"))
        self.pass_time(15)
        self.assertEqual(learnt, [Purge(NOW, "tag", "a")])
        self.assertTrue(any("longer than 10 seconds" in line for line in self.lines))

    def test_they_may_be_forgotten_once_they_have_gone_from_the_bucket(self) -> None:
        fresh = PurgeObjects(self.clock, self.store, self.names)
        self.assertEqual(fresh.purged_before(), -math.inf)
        one, _ = self.user()
        self.assertEqual(one.purged_before(), NOW - FINAL_AFTER)
        self.record(one, Purge(NOW, "tag", "a"))
        self.pass_time(FINAL_AFTER + 300)
        self.assertEqual(one.purged_before(), NOW)
        other, _ = self.user()
        self.assertEqual(other.purged_before(), NOW)
        self.store.objects.clear()  # by the sweep of another node
        self.pass_time(5)
        self.assertGreater(one.purged_before(), NOW + 200)

    def test_a_listing_that_is_behind_loses_no_purge(self) -> None:
        one, _ = self.user()
        self.record(one, Purge(NOW - FINAL_AFTER - 100, "tag", "a"))
        self.store.objects.clear()  # which the listing does not show yet
        self.pass_time(30)
        self.assertEqual(one.purged_before(), NOW - FINAL_AFTER - 100)

    def test_the_age_of_the_last_sweep_is_told(self) -> None:
        self.user()
        self.assertEqual(self.ages, [math.inf])
        self.store.objects[self.names.swept] = b"{}", NOW - 50
        self.pass_time(5)
        self.assertEqual(self.ages[-1], 55)
