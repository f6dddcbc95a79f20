"""Which entries a purge covers."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cache import URL_BYTES, Purge, Purges
from tests.support.cache_directory import ENTRY, KEY

TAGGED = replace(ENTRY, source="http://x/a/b.jpg", tags=("hero", "spring"), asked_at=100.0, stored_at=105.0)
TEXTS = st.text(alphabet="ab/", max_size=4)


class CoverTests(SynchronousTestCase):
    def covered(self, *purges: Purge) -> bool:
        return Purges(purges).covers(KEY, TAGGED)

    def test_each_kind_covers_what_matches(self) -> None:
        url = KEY[:URL_BYTES].hex()
        for kind, matching, other in (
            ("url", url, "00" * URL_BYTES),
            ("source", "http://x/a/b.jpg", "http://x/a/b"),
            ("prefix", "http://x/a/", "http://x/ab"),
            ("tag", "hero", "her"),
        ):
            self.assertTrue(self.covered(Purge(200.0, kind, matching)), kind)  # type: ignore[arg-type]
            self.assertFalse(self.covered(Purge(200.0, kind, other)), kind)  # type: ignore[arg-type]

    def test_it_covers_what_the_origin_was_asked_for_by_then_and_nothing_later(self) -> None:
        for at, covered in ((99.9, False), (100.0, True), (103.0, True), (200.0, True)):
            self.assertEqual(self.covered(Purge(at, "source", TAGGED.source)), covered)

    def test_an_entry_that_does_not_say_when_its_origin_was_asked_is_as_old_as_it_was_stored(self) -> None:
        self.assertFalse(Purges([Purge(104.0, "tag", "hero")]).covers(KEY, replace(TAGGED, asked_at=0.0)))
        self.assertTrue(Purges([Purge(105.0, "tag", "hero")]).covers(KEY, replace(TAGGED, asked_at=0.0)))

    def test_an_entry_from_before_the_clock_was_put_back_is_covered(self) -> None:
        future = time.time() + 3600
        made = replace(TAGGED, asked_at=future, stored_at=future + 1)
        purges = Purges([Purge(time.time(), "source", TAGGED.source)])
        self.assertTrue(purges.covers(KEY, made))
        self.assertFalse(purges.covers(KEY, replace(made, source="http://other/", tags=())))
        self.assertFalse(Purges().covers(KEY, made))

    def test_the_latest_of_equal_purges_counts_in_any_order(self) -> None:
        early, late = Purge(50.0, "prefix", "http"), Purge(200.0, "prefix", "http")
        self.assertTrue(self.covered(early, late))
        self.assertTrue(self.covered(late, early))

    @given(st.lists(st.tuples(st.sampled_from(["source", "prefix", "tag"]), TEXTS, st.floats(0, 9))), TEXTS, TEXTS)
    def test_tables_say_what_a_search_through_all_would(
        self, given: list[tuple[str, str, float]], source: str, tag: str
    ) -> None:
        def matches(kind: str, value: str) -> bool:
            return source.startswith(value) if kind == "prefix" else value == (tag if kind == "tag" else source)

        purges = Purges(Purge(at, kind, value) for kind, value, at in given)  # type: ignore[arg-type]
        expected = max((at for kind, value, at in given if matches(kind, value)), default=-math.inf)
        self.assertEqual(purges.last_purge(KEY, source, [tag]), expected)
