"""What a tier holds, as `imgforge cache` lists, reads and removes it: one shape for a directory, Redis and buckets.

An inventory needs no reactor and no running server: its methods block. A tier that other processes use meanwhile may
change under a walk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from imgforge.cache.directory_walk import entries
from imgforge.cache.entry_file import entry_path, read_entry, read_metadata
from imgforge.cache.eviction import DiskLimits, Sweep, SweepOptions, sweep
from imgforge.model import CacheEntry

__all__ = ["DiskInventory", "Inventory", "ListedEntry", "Watch", "prune_by_walks"]

# Called now and then during long work, with what has been done so far in a few words.
Watch = Callable[[str], object]

_BUCKETS = 4096


class ListedEntry(NamedTuple):
    """An entry that was found in a walk, unread: its key, and the bytes that it takes on the medium.

    `stored_at` and `used_at` are the times (seconds since the epoch) at which it was written and last used; a medium
    that knows one of them has it for both, and one that knows neither has 0.
    """

    key: bytes
    bytes: int
    stored_at: float
    used_at: float


class Inventory(Protocol):
    """The entries of a tier. Methods raise OSError, with a message for the operator, where the medium refuses."""

    @property
    def place(self) -> str:
        """What operators call the medium: a directory, a URL. It has no secrets."""

    def name_of(self, key: bytes) -> str:
        """What operators call the entry under *key*: a path, a Redis key, an object's name."""

    def walk(self) -> Iterator[ListedEntry]:
        """All entries, in no order; one that is written or removed meanwhile may be missed."""

    def read(self, key: bytes) -> CacheEntry:
        """The entry under *key*, checked, without marking it as used. FileNotFoundError, `CorruptEntry`."""

    def read_metadata(self, key: bytes) -> tuple[CacheEntry, int]:
        """The entry under *key* without its body, and the bytes of the body. FileNotFoundError, `CorruptEntry`."""

    def remove(self, key: bytes) -> bool:
        """Remove the entry under *key*; False where another process has removed it, or the medium refuses."""

    def prune(self, max_bytes: int, watch: Watch) -> Sweep | None:
        """Remove the least recently used entries until the rest takes at most *max_bytes* bytes.

        None where another process is evicting at the same time.
        """

    def close(self) -> None:
        """Let go of connections."""


class DiskInventory:
    """The entries below the directory *root*."""

    def __init__(self, root: str) -> None:
        self.place = root

    def name_of(self, key: bytes) -> str:
        """See `Inventory`: the path of the file."""
        return str(entry_path(self.place, key))

    def walk(self) -> Iterator[ListedEntry]:
        """See `Inventory`."""
        for file, status in entries(self.place):
            key = bytes.fromhex(file.name.partition(".")[0])
            yield ListedEntry(key, status.st_size, status.st_mtime, status.st_mtime)

    def read(self, key: bytes) -> CacheEntry:
        """See `Inventory`."""
        return read_entry(self.name_of(key), key, touch=False)

    def read_metadata(self, key: bytes) -> tuple[CacheEntry, int]:
        """See `Inventory`."""
        _, entry, size = read_metadata(self.name_of(key))
        return entry, size

    def remove(self, key: bytes) -> bool:
        """See `Inventory`."""
        try:
            os.unlink(self.name_of(key))
        except OSError:
            return False
        return True

    def prune(self, max_bytes: int, watch: Watch) -> Sweep | None:
        """See `Inventory`; by a sweep, which also removes the temporary files of crashes."""
        directories = 0

        def count_directory() -> bool:
            nonlocal directories
            directories += 1
            watch(f"{directories} directories searched")
            return False

        # DiskLimits takes 0 for "no limit".
        return sweep(self.place, DiskLimits(max(1, max_bytes)), SweepOptions(stopping=count_directory))

    def close(self) -> None:
        """See `Inventory`."""


def prune_by_walks(inventory: Inventory, max_bytes: int, watch: Watch) -> Sweep:
    """`Inventory.prune` for a medium that has no sweep of its own: by two walks, or three, without a list of entries.

    The first adds up the bytes. If they are too many, the second counts them by the time of the last use, in 4096 steps
    from the oldest to the newest, which gives the time before which the third removes entries.
    """
    total = count = 0
    oldest, newest = float("inf"), 0.0
    for entry in inventory.walk():
        total, count = total + entry.bytes, count + 1
        oldest, newest = min(oldest, entry.used_at), max(newest, entry.used_at)
        watch(f"{count} entries counted, {total} bytes")
    if total <= max_bytes:
        return Sweep(total, count, 0)
    width = max((newest - oldest) / _BUCKETS, 1e-6)

    def bucket(entry: ListedEntry) -> int:
        return min(_BUCKETS - 1, max(0, int((entry.used_at - oldest) / width)))

    sizes = [0] * _BUCKETS
    for entry in inventory.walk():
        sizes[bucket(entry)] += entry.bytes
        watch("comparing ages")
    last, planned = -1, 0
    while last + 1 < _BUCKETS and planned < total - max_bytes:
        last += 1
        planned += sizes[last]
    removed = 0
    for entry in inventory.walk():
        if total <= max_bytes:
            break
        if bucket(entry) <= last and inventory.remove(entry.key):
            total, count, removed = total - entry.bytes, count - 1, removed + 1
            watch(f"{removed} entries removed")
    return Sweep(total, count, removed)
