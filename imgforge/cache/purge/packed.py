"""Purges of which many have to be known for long, in 32 bytes each: hashes and times, in tables.

A cache in Redis without a TTL has each purge remembered for thirty days. Those beyond the latest come here:

    newest table, the one before it, ...  ── the oldest, where all are full ──> floor: all before it counts as purged

Equal hashes of different purges, and the floor, cost an entry that was not purged; none that was purged is served.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable

from twisted.logger import Logger

from imgforge.cache.keys import URL_BYTES
from imgforge.model import CacheEntry, Purge

__all__ = ["PackedPurges"]

_NONE = -math.inf
_SLOTS = 1 << 19  # of a table, 8 MiB
_MOST_TABLES = 4
_SLOT_BYTES = 16  # a hash and a time
_HASH = (1 << 64) - 1


def _digest(kind: str, value: str) -> int:
    """The hash of a purge; 0 stands for an empty slot."""
    return hash((kind, value)) & _HASH or 1


class _Table:
    """Half as many purges as *slots*, a power of two: the first free slot from that of its hash on has a purge."""

    def __init__(self, slots: int) -> None:
        self._mask = slots - 1
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # zeros, which take no memory before they are written
        memory = memoryview(mmap.mmap(-1, slots * _SLOT_BYTES, flags=flags))
        self._hashes = memory.cast("Q")
        self._times = memory.cast("d")
        self.count = 0
        self.latest = _NONE  # purge
        self.first_learned = math.inf
        self.last_learned = _NONE
        self.lengths: frozenset[int] = frozenset()  # of prefixes

    @property
    def full(self) -> bool:
        return 2 * self.count > self._mask

    def time_of(self, digest: int) -> float:
        """The time of the last purge with this hash; minus infinity for none."""
        hashes, slot = self._hashes, digest & self._mask
        while found := hashes[2 * slot]:
            if found == digest:
                return self._times[2 * slot + 1]
            slot = (slot + 1) & self._mask
        return _NONE

    def add(self, purge: Purge, learned_at: float) -> None:
        """Add *purge*; threads may look meanwhile, and so the hash comes last."""
        digest = _digest(purge.kind, purge.value)
        hashes, slot = self._hashes, digest & self._mask
        while (found := hashes[2 * slot]) and found != digest:
            slot = (slot + 1) & self._mask
        self.latest = max(self.latest, purge.at)
        self.first_learned = min(self.first_learned, learned_at)
        self.last_learned = max(self.last_learned, learned_at)
        if purge.kind == "prefix" and len(purge.value) not in self.lengths:
            self.lengths |= {len(purge.value)}
        if not found:
            self._times[2 * slot + 1] = purge.at
            hashes[2 * slot] = digest
            self.count += 1
        elif self._times[2 * slot + 1] < purge.at:
            self._times[2 * slot + 1] = purge.at


class PackedPurges:
    """*most_tables* tables of *slots* each, which are made when they are needed; threads may ask what is covered."""

    log = Logger()

    def __init__(self, slots: int = _SLOTS, most_tables: int = _MOST_TABLES) -> None:
        self._slots = slots
        self._most_tables = most_tables
        self._tables: tuple[_Table, ...] = ()  # the oldest first
        self._floor = _NONE
        self._floor_learned = _NONE

    def __bool__(self) -> bool:
        return bool(self._tables) or self._floor > _NONE

    def __len__(self) -> int:
        return sum(table.count for table in self._tables) + (self._floor > _NONE)

    def add(self, purge: Purge, learned_at: float) -> None:
        """Add *purge*; where all tables are full, the floor takes the place of the oldest."""
        if not self._tables or self._tables[-1].full:
            if len(self._tables) == self._most_tables:
                self._fold(self._tables[0])
            self._tables = (*self._tables, _Table(self._slots))
        self._tables[-1].add(purge, learned_at)

    def _fold(self, oldest: _Table) -> None:
        if self._floor == _NONE:
            self.log.warn(
                "there are more than {most} purges to remember: what is cached is made anew where it is older than "
                "the oldest of them. Set IMGFORGE_CACHE_TTL, so that purges need not be remembered for so long",
                most=len(self),
            )
        self._floor_learned = max(self._floor_learned, oldest.last_learned)
        self._floor = max(self._floor, oldest.latest)  # before the table goes: threads may look
        self._tables = self._tables[1:]

    def knows(self, purge: Purge) -> bool:
        """Whether this purge, or a later one of the same kind and value, is in a table."""
        digest = _digest(purge.kind, purge.value)
        return any(table.time_of(digest) >= purge.at for table in self._tables)

    def last_purge(self, key: bytes, source: str, tags: Iterable[str], since: float = _NONE) -> float:
        """The time of the last purge of entries with these; minus infinity for none.

        Purges before *since* may be left out.
        """
        tables, latest = self._tables, self._floor  # in this order: see `_fold`
        digests: list[int] = []
        for table in reversed(tables):
            if table.latest < since or table.latest <= latest:
                continue
            if not digests:
                digests = [_digest("url", key[:URL_BYTES].hex()), _digest("source", source)]
                digests += [_digest("tag", tag) for tag in tags]
            prefixes = (_digest("prefix", source[:length]) for length in table.lengths)
            latest = max(latest, *map(table.time_of, digests), *map(table.time_of, prefixes))
        return latest

    def covers(self, key: bytes, entry: CacheEntry, now: float) -> bool:
        """Whether *entry* was purged, as `Purges.covers` has it; *now* is in seconds since the epoch."""
        asked = entry.asked_at or entry.stored_at
        future = asked > now
        purged = self.last_purge(key, entry.source, entry.tags, _NONE if future else asked)
        return asked <= purged or (future and purged > _NONE)

    def learned_between(self, begin: float, end: float) -> bool:
        """Whether there may be purges that were learned from *begin* on, and before *end*."""
        spans = [(table.first_learned, table.last_learned) for table in self._tables]
        return any(first < end and last >= begin for first, last in (*spans, (self._floor_learned,) * 2))

    def forget(self, before: float) -> None:
        """Forget the tables, and the floor, whose purges were all learned *before* that time."""
        if any(table.last_learned < before for table in self._tables):
            self._tables = tuple(table for table in self._tables if table.last_learned >= before)
        if self._floor_learned < before:
            self._floor = self._floor_learned = _NONE
