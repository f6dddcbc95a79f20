"""A cache tier that hangs, fails or loses entries when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from imgforge.cache import MemoryTier
from imgforge.interfaces import ICacheTier, ILease, LearnPurges, TierUsage
from imgforge.model import CacheEntry, Purge

__all__ = ["FaultyTier"]

T = TypeVar("T")


@implementer(ICacheTier)
class FaultyTier:
    """A tier in memory, called *name*. It does not answer while `hangs`, and fails with `error` while there is one.

    `calls` are the names of the methods that were called, `waiting` the Deferreds of calls that hang.
    """

    def __init__(self, name: str = "faulty") -> None:
        self.name = name
        self.hangs = False
        self.error: Exception | None = None
        self.calls: list[str] = []
        self.waiting: list[Deferred[Any]] = []
        self.entries = MemoryTier(1 << 30, 1 << 20)

    def _do(self, name: str, work: Callable[[], Deferred[T]]) -> Deferred[T]:
        self.calls.append(name)
        if self.hangs:
            hanging: Deferred[T] = Deferred(lambda _: self.waiting.remove(hanging))
            self.waiting.append(hanging)
            return hanging
        return work() if self.error is None else fail(self.error)

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """See `ICacheTier`."""
        return self._do("start", lambda: self.entries.start(learn))

    def close(self) -> Deferred[None]:
        """See `ICacheTier`."""
        return self._do("close", self.entries.close)

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """See `ICacheTier`."""
        return self._do("get", lambda: self.entries.get(key))

    def size_of(self, key: bytes) -> Deferred[int]:
        """See `ICacheTier`."""
        return self._do("size_of", lambda: self.entries.size_of(key))

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """See `ICacheTier`."""
        return self._do("put", lambda: self.entries.put(key, entry))

    def remove(self, key: bytes) -> Deferred[bool]:
        """See `ICacheTier`."""
        return self._do("remove", lambda: self.entries.remove(key))

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`."""
        return self._do("purge", lambda: self.entries.purge(purge))

    def purged_before(self) -> float:
        """See `ICacheTier`."""
        return self.entries.purged_before()

    def lease(self, key: bytes) -> ILease | None:
        """See `ICacheTier`: it has none."""
        return self.entries.lease(key)

    def usage(self) -> TierUsage | None:
        """See `ICacheTier`."""
        return self.entries.usage()
