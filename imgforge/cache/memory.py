"""The memory tier: SIEVE eviction, bounded in bytes and entries.

SIEVE (Zhang et al., NSDI 2024) keeps entries in the order of their insertion; a hit only marks its entry as visited. To
evict, a hand walks from the oldest entry to the newest, unmarks visited entries and evicts the first unvisited one. So
a scan of entries that are requested once does not displace popular entries, and a hit moves nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from imgforge.cache.purge import Purges
from imgforge.interfaces import ILease, IMemoryTier, LearnPurges, TierUsage, VisitMark
from imgforge.model import CacheEntry, Purge, Rendition

__all__ = ["MemoryTier"]

# Bytes of an entry beside its values: its node and its slot in the dict.
_OVERHEAD = 500


_values_of_entry = attrgetter(*(field.name for field in fields(CacheEntry)))
_values_of_rendition = attrgetter(*(field.name for field in fields(Rendition)))


def _cost(entry: CacheEntry) -> int:
    """Bytes of memory that *entry* takes with all that it holds; clients and origins may send long URLs and headers."""
    values = (entry, *_values_of_entry(entry), *_values_of_rendition(entry.rendition))
    return sum(map(sys.getsizeof, values)) + _held(entry.tags) + _held(entry.source_headers)


def _held(values: tuple[object, ...]) -> int:
    return sum(sys.getsizeof(value) + (_held(value) if isinstance(value, tuple) else 0) for value in values)


class _Node:
    __slots__ = ("cost", "entry", "key", "newer", "older", "visited")

    def __init__(self, key: bytes, entry: CacheEntry, cost: int) -> None:
        self.key = key
        self.entry = entry
        self.cost = cost
        self.visited = False
        self.newer: _Node | None = None
        self.older: _Node | None = None


@implementer(IMemoryTier)
class MemoryTier:
    """Entries in this process's memory: at most *max_bytes* bytes, and at most *capacity* of them."""

    name = "memory"

    def __init__(self, max_bytes: int, capacity: int) -> None:
        self._max_bytes = max_bytes
        self._capacity = capacity
        self._nodes: dict[bytes, _Node] = {}
        self._newest: _Node | None = None
        self._oldest: _Node | None = None
        self._hand: _Node | None = None
        self.bytes = 0
        self._drop_observers: list[Callable[[bytes], None]] = []

    def __len__(self) -> int:
        return len(self._nodes)

    def start(self, learn: LearnPurges) -> Deferred[None]:  # noqa: ARG002
        """See `ICacheTier`; has always fired, for memory has no other users."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See `ICacheTier`; has always fired."""
        return succeed(None)

    def peek(self, key: bytes) -> CacheEntry | None:
        """See `IMemoryTier`."""
        node = self._nodes.get(key)
        if node is None:
            return None
        node.visited = True
        return node.entry

    def add_drop_observer(self, observer: Callable[[bytes], None]) -> None:
        """See `IMemoryTier`."""
        self._drop_observers.append(observer)

    def visit_mark(self, key: bytes) -> VisitMark | None:
        """See `IMemoryTier`."""
        return self._nodes.get(key)

    def charge(self, key: bytes, size: int) -> bool:
        """See `IMemoryTier`."""
        node = self._nodes.get(key)
        if node is None or node.cost + size > self._max_bytes:
            return False
        while self.bytes + size > self._max_bytes:
            self._evict()
            if self._nodes.get(key) is not node:
                return False
        node.cost += size
        self.bytes += size
        return True

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key*, or None; has always fired."""
        return succeed(self.peek(key))

    def size_of(self, key: bytes) -> Deferred[int]:
        """See `ICacheTier`; has always fired."""
        node = self._nodes.get(key)
        return succeed(0 if node is None else len(node.entry.rendition.body))

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Store *entry*, evicting others for it; an entry that is larger than the tier is not stored."""
        self._drop(key)
        cost = _cost(entry) + _OVERHEAD
        if cost <= self._max_bytes and self._capacity > 0:
            while self.bytes + cost > self._max_bytes or len(self._nodes) >= self._capacity:
                self._evict()
            self._link(_Node(key, entry, cost))
        return succeed(None)

    def remove(self, key: bytes) -> Deferred[bool]:
        """See `ICacheTier`; has always fired."""
        return succeed(self._drop(key))

    def drop(self, covered: Callable[[bytes, CacheEntry], bool]) -> int:
        """See `IMemoryTier`."""
        return sum(map(self._drop, [key for key, node in self._nodes.items() if covered(key, node.entry)]))

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`; has always fired."""
        return succeed(self.drop(Purges([purge]).covers))

    def purged_before(self) -> float:
        """See `ICacheTier`: the cache has all that a purge covers dropped as soon as it knows the purge."""
        return math.inf

    def lease(self, key: bytes) -> ILease | None:  # noqa: ARG002
        """None: one process coalesces its own work."""
        return None

    def usage(self) -> TierUsage:
        """See `ICacheTier`; the bytes are those that the entries take in memory."""
        return TierUsage(self.bytes, len(self._nodes))

    def _link(self, node: _Node) -> None:
        node.older = self._newest
        if self._newest is not None:
            self._newest.newer = node
        self._newest = node
        if self._oldest is None:
            self._oldest = node
        self._nodes[node.key] = node
        self.bytes += node.cost

    def _drop(self, key: bytes) -> bool:
        node = self._nodes.pop(key, None)
        if node is None:
            return False
        for observer in self._drop_observers:
            observer(key)
        if self._hand is node:
            self._hand = node.newer
        if node.newer is None:
            self._newest = node.older
        else:
            node.newer.older = node.older
        if node.older is None:
            self._oldest = node.newer
        else:
            node.older.newer = node.newer
        self.bytes -= node.cost
        return True

    def _evict(self) -> None:
        hand = self._hand or self._oldest
        while hand is not None and hand.visited:
            hand.visited = False
            hand = hand.newer or self._oldest
        if hand is not None:
            self._hand = hand
            self._drop(hand.key)
