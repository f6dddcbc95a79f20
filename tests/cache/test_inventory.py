"""Inventories: a directory's, and the pruning of a medium that has no sweep of its own."""

from __future__ import annotations

import os
import time

from imgforge.cache import DiskInventory, entry_path, prune_by_walks
from tests.support.cache_directory import Directory, number_key, write


class PruneByWalksTests(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.inventory = DiskInventory(self.root)
        sizes = {write(self.root, number, age=number * 100).stat().st_size for number in range(10)}
        (self.size,) = sizes

    def kept(self) -> list[int]:
        return [number for number in range(10) if entry_path(self.root, number_key(number)).exists()]

    def prune(self, max_bytes: int) -> tuple[int, int, int]:
        left = prune_by_walks(self.inventory, max_bytes, lambda _: None)
        return left.removed, left.entries, left.bytes

    def test_nothing_is_removed_below_the_limit(self) -> None:
        self.assertEqual(self.prune(10 * self.size), (0, 10, 10 * self.size))
        self.assertEqual(len(self.kept()), 10)

    def test_the_least_recently_used_entries_go_first(self) -> None:
        self.assertEqual(self.prune(4 * self.size), (6, 4, 4 * self.size))
        self.assertEqual(self.kept(), [0, 1, 2, 3])

    def test_no_more_entries_than_needed_go_where_all_are_of_one_age(self) -> None:
        now = time.time()
        for number in range(10):
            os.utime(entry_path(self.root, number_key(number)), (now, now))
        self.assertEqual(self.prune(4 * self.size + 1), (6, 4, 4 * self.size))

    def test_zero_bytes_remove_everything(self) -> None:
        self.assertEqual(self.prune(0), (10, 0, 0))
        self.assertEqual(self.kept(), [])
