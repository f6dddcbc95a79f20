"""The memory tier: bounded whatever comes, and not emptied by what comes once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from imgforge.cache import MemoryTier
from imgforge.interfaces import IMemoryTier
from imgforge.model import CacheEntry, Rendition


def entry(size: int = 100, mark: str = "x") -> CacheEntry:
    return CacheEntry(Rendition(b"b" * size, "png", "image/png"), 1.0, mark)


class MemoryTierTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tier = MemoryTier(max_bytes=1_000_000, capacity=10)

    def put(self, *keys: int) -> None:
        for key in keys:
            self.successResultOf(self.tier.put(bytes([key]), entry(mark=str(key))))

    def has(self, key: int) -> bool:
        return self.successResultOf(self.tier.get(bytes([key]))) is not None

    def test_it_is_a_tier(self) -> None:
        verifyObject(IMemoryTier, self.tier)

    def test_what_is_put_is_found_and_what_is_removed_is_not(self) -> None:
        self.put(1)
        self.assertEqual(self.tier.peek(b"\x01"), entry(mark="1"))
        self.assertTrue(self.successResultOf(self.tier.remove(b"\x01")))
        self.assertFalse(self.has(1))
        self.assertFalse(self.successResultOf(self.tier.remove(b"\x01")))

    def test_the_oldest_that_was_not_asked_for_goes_first(self) -> None:
        self.put(*range(10))
        self.has(0)
        self.put(10)
        self.assertEqual([key for key in range(11) if self.tier._nodes.get(bytes([key]))], [0, *range(2, 11)])

    def test_a_scan_does_not_empty_it(self) -> None:
        self.put(*range(5))
        for key in range(5):
            self.has(key)
        self.put(*range(100, 200))
        self.assertGreaterEqual(sum(self.has(key) for key in range(5)), 4)

    def test_replacing_an_entry_counts_it_once(self) -> None:
        self.put(1)
        before = self.tier.bytes
        self.put(1)
        self.assertEqual((len(self.tier), self.tier.bytes), (1, before))

    def test_what_is_larger_than_the_tier_is_not_kept(self) -> None:
        self.put(1)
        self.successResultOf(self.tier.put(b"big", entry(2_000_000)))
        self.assertEqual((len(self.tier), self.has(1)), (1, True))

    def test_all_observers_are_told_of_entries_that_are_evicted_replaced_or_removed(self) -> None:
        gone: list[int] = []
        also: list[bytes] = []
        self.tier.add_drop_observer(lambda key: gone.append(key[0]))
        self.tier.add_drop_observer(also.append)
        self.put(*range(11))
        self.put(5)
        self.tier.remove(b"\x07")
        self.tier.remove(b"\x07")
        self.assertEqual((gone, also), ([0, 5, 7], [b"\x00", b"\x05", b"\x07"]))

    def test_long_urls_count(self) -> None:
        self.put(1)
        before = self.tier.bytes
        self.tier.put(b"\x01", replace(entry(mark="1"), source="s" * 5000, source_etag="e" * 500))
        self.assertEqual(self.tier.bytes - before, 5500)

    def test_all_that_an_entry_holds_counts(self) -> None:
        text = {"source_headers": 100 * (("x-long", "v" * 1000),), "tags": ("t" * 1000,) * 3, "etag": "e" * 1000}
        text |= {"source_expires": "x" * 1000, "source_last_modified": "m" * 1000}
        held = replace(entry(mark="1"), **text)  # type: ignore[arg-type]
        for field, value in text.items():
            self.put(1)
            before = self.tier.bytes
            self.tier.put(b"\x01", replace(entry(mark="1"), **{field: value}))  # type: ignore[arg-type]
            self.assertGreater(self.tier.bytes - before, len(str(value)) * 0.9, field)
        for number in range(10):
            self.tier.put(bytes([number]), held)
        self.assertLess(len(self.tier), 10)

    def test_letters_count_by_the_bytes_that_they_take(self) -> None:
        self.put(1)
        before = self.tier.bytes
        self.tier.put(b"\x01", replace(entry(mark="1"), source="\U0001f600" * 1000))
        self.assertGreaterEqual(self.tier.bytes - before, 4000)

    def test_bytes_that_are_charged_to_an_entry_evict_others_and_go_with_it(self) -> None:
        self.put(*range(10))
        before = self.tier.bytes
        self.has(9)
        self.assertTrue(self.tier.charge(b"\x09", 990_000))
        self.assertLessEqual(self.tier.bytes, 1_000_000)
        self.assertTrue(self.has(9))
        self.assertLess(len(self.tier), 10)
        self.assertTrue(self.tier.charge(b"\x09", -990_000))
        self.assertFalse(self.tier.charge(b"\x09", 1_000_000))
        self.assertFalse(self.tier.charge(b"none", 1))
        self.assertLess(self.tier.bytes, before)
        self.tier.charge(b"\x09", 500)
        self.tier.drop(lambda _key, _entry: True)
        self.assertEqual(self.tier.bytes, 0)

    @given(
        st.lists(st.tuples(st.sampled_from("pgrc"), st.integers(0, 30), st.integers(0, 4000)), max_size=200),
        st.integers(1, 20_000),
        st.integers(1, 12),
    )
    def test_the_bounds_hold_whatever_happens(
        self, steps: list[tuple[str, int, int]], max_bytes: int, capacity: int
    ) -> None:
        tier = MemoryTier(max_bytes, capacity)
        last: dict[bytes, CacheEntry] = {}
        for step, number, size in steps:
            key = bytes([number])
            if step == "p":
                last[key] = entry(size, str(size))
                tier.put(key, last[key])
            elif step == "r":
                tier.remove(key)
                last.pop(key, None)
            elif step == "c":
                charged = tier.charge(key, size)
                self.assertTrue(tier.visit_mark(key) if charged else True)
            else:
                found = tier.peek(key)
                self.assertIn(found, (None, last.get(key)))
            self.assertLessEqual(tier.bytes, max_bytes)
            self.assertLessEqual(len(tier), capacity)
        for key in list(last):
            tier.remove(key)
        self.assertEqual((tier.bytes, len(tier)), (0, 0))
