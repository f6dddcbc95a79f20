"""Leases of keys, and the outcomes that processes write for each other."""

from __future__ import annotations

from pathlib import Path

from imgforge.cache.leases import Lease, LeaseFile, outcome_text
from tests.support.cache_directory import KEY, Directory


class LeaseTests(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.file = LeaseFile(self.root)
        self.addCleanup(self.file.close)

    def test_what_comes_too_late_is_given_back(self) -> None:
        late, other = Lease(self.file, KEY), LeaseFile(self.root)
        self.addCleanup(other.close)
        self.assertFalse(late.end())
        self.assertFalse(late.take())
        self.assertTrue(Lease(other, KEY).take())

    def test_an_outcome_is_found_whole_by_its_key_only(self) -> None:
        for text in (b"", b"SourceNotFound\nno", bytes(1000)):
            self.file.write_outcome(KEY, text)
            slot = self.file.outcome(KEY)
            self.assertEqual(outcome_text(slot, KEY), text[:452])
            self.assertIsNone(outcome_text(slot, bytes(32)))
            for at in range(0, len(slot), 7):
                damaged = slot[:at] + bytes([slot[at] ^ 1]) + slot[at + 1 :]
                self.assertIn(outcome_text(damaged, KEY), {None, text})
        self.assertIsNone(outcome_text(b"", KEY))

    def test_equal_outcomes_differ(self) -> None:
        self.file.write_outcome(KEY, b"same")
        before = self.file.outcome(KEY)
        self.file.write_outcome(KEY, b"same")
        self.assertNotEqual(self.file.outcome(KEY), before)

    def test_a_directory_that_was_removed_is_made_again(self) -> None:
        self.assertTrue(self.file.take(5))
        Path(self.root, "leases").unlink()
        self.assertTrue(self.file.take(5))
        other = LeaseFile(self.root)
        self.addCleanup(other.close)
        self.assertFalse(other.take(5))
