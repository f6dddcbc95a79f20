"""Purges as hashes and times: they cover what the purges themselves cover, and beyond the bound more, never less."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache.keys import URL_BYTES
from imgforge.cache.purge import PackedPurges, Purges, packed
from imgforge.model import CacheEntry, Purge, PurgeKind
from tests.support.cache_directory import ENTRY

NOW = 5000.0
KINDS: tuple[PurgeKind, ...] = ("url", "source", "prefix", "tag")


def key_of(number: int) -> bytes:
    return number.to_bytes(20, "big") + bytes(12)


def source_of(number: int) -> str:
    return f"http://host/{number:03}/{'abcdef'[: number % 6]}"


def some_purges(count: int) -> Iterator[Purge]:
    chance = random.Random(count)
    for _ in range(count):
        kind, number = chance.choice(KINDS), chance.randrange(200)
        value = {
            "url": key_of(number)[:URL_BYTES].hex(),
            "source": source_of(number),
            "prefix": source_of(number)[: 15 + number % 3],
            "tag": f"tag-{number}",
        }[kind]
        yield Purge(float(chance.randrange(1000)), kind, value)


def some_entries() -> Iterator[tuple[bytes, CacheEntry]]:
    chance = random.Random(7)
    for _ in range(100):
        for asked in (0.0, 300.0, 700.0, 990.0, NOW + 100):
            key, source, *tags = (chance.randrange(400) for _ in range(4))
            made = replace(ENTRY, source=source_of(source), tags=tuple(f"tag-{tag}" for tag in tags))
            yield key_of(key), replace(made, asked_at=asked, stored_at=asked + 1)


def filled(purges: Iterator[Purge], slots: int, most_tables: int) -> PackedPurges:
    made = PackedPurges(slots, most_tables)
    for purge in purges:
        made.add(purge, purge.at)
    return made


class PackedPurgesTests(SynchronousTestCase):
    def assert_covers_at_least(self, made: PackedPurges, count: int) -> tuple[int, int]:
        """That *made* covers all that the purges cover; how many entries these cover, and how many it covers."""
        purges = Purges(some_purges(count), lambda: NOW)
        entries = list(some_entries())
        covered = [one for one in entries if purges.covers(*one)]
        for key, entry in covered:
            self.assertTrue(made.covers(key, entry, NOW), (key, entry))
        return len(covered), sum(made.covers(*one, NOW) for one in entries)

    def test_they_cover_what_the_purges_cover(self) -> None:
        for count in (0, 1, 30, 300):
            made = filled(some_purges(count), 64, 1000)
            covered, found = self.assert_covers_at_least(made, count)
            self.assertEqual(found, covered)
            self.assertLess(covered, 400)
            self.assertGreaterEqual(covered, count // 3)
            exact = Purges(some_purges(count), lambda: NOW)
            for key, entry in some_entries():
                wanted = exact.last_purge(key, entry.source, entry.tags)
                self.assertEqual(made.last_purge(key, entry.source, entry.tags), wanted)
            self.assertEqual(bool(made), bool(count))

    def test_beyond_the_bound_older_entries_count_as_purged(self) -> None:
        made = filled(some_purges(300), 16, 3)
        covered, found = self.assert_covers_at_least(made, 300)
        self.assertGreater(found, covered)
        self.assertLessEqual(len(made), 3 * 8 + 1)
        newest = replace(ENTRY, source="http://other/", tags=(), asked_at=1000.0)
        self.assertFalse(made.covers(key_of(99), newest, NOW))
        (warning,) = self.flushed_warnings
        self.assertIn("more than 24 purges to remember", warning)

    def setUp(self) -> None:
        self.flushed_warnings: list[str] = []
        self.patch(PackedPurges, "log", self)

    def warn(self, text: str, **fields: object) -> None:
        self.flushed_warnings.append(text.format(**fields))

    def test_equal_hashes_of_different_purges_cover_more(self) -> None:
        self.patch(packed, "_digest", lambda kind, value: 1 + len(kind) + len(value))
        covered, found = self.assert_covers_at_least(filled(some_purges(300), 64, 1000), 300)
        self.assertGreater(found, covered)

    def test_a_table_goes_when_all_of_it_may_be_forgotten_and_so_does_the_floor(self) -> None:
        made = PackedPurges(16, 2)
        for number in range(24):
            made.add(Purge(10.0 * number, "tag", f"{number}"), 1000.0 + number)
        self.assertEqual((len(made), len(self.flushed_warnings)), (17, 1))
        floor = made.last_purge(key_of(1), "", ())
        self.assertEqual(floor, 70.0)
        for before, count, last in ((1007.0, 17, 70.0), (1007.5, 16, -math.inf), (1015.0, 16, -math.inf)):
            made.forget(before)
            self.assertEqual((len(made), made.last_purge(key_of(1), "", ())), (count, last))
        made.forget(1016.0)
        self.assertEqual((len(made), made.last_purge(key_of(1), "", ["8"])), (8, -math.inf))
        self.assertEqual(made.last_purge(key_of(1), "", ["20"]), 200.0)
        self.assertEqual(
            [made.learned_between(*span) for span in ((0, 1016), (1016, 1017), (1024, 2000))], [False, True, False]
        )
        made.forget(math.inf)
        self.assertFalse(made)

    def test_a_purge_that_is_there_is_known_and_a_later_one_is_not(self) -> None:
        made = PackedPurges(16, 2)
        made.add(Purge(10.0, "tag", "t"), 11.0)
        made.add(Purge(5.0, "tag", "t"), 11.0)
        known = [made.knows(Purge(at, "tag", "t")) for at in (9.0, 10.0, 10.5)]
        self.assertEqual((known, len(made)), ([True, True, False], 1))
        self.assertFalse(made.knows(Purge(1.0, "source", "t")))
