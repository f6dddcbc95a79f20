"""The cache as the pipeline sees it: one or two tiers, looked through from the fastest on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from imgforge.cache._disk import DiskTier, FaultObserver
from imgforge.cache._memory import MemoryTier
from imgforge.cache._threads import IDiskReactor
from imgforge.interfaces import ICacheTier
from imgforge.model import CacheEntry

__all__ = ["Cache", "CacheSettings", "make_cache"]

T = TypeVar("T")

# The names of a cache: what it is called in metrics, and whether it has a memory and a disk.
_TYPES = {
    "": ("", False, False),
    "memory": ("memory", True, False),
    "disk": ("disk", False, True),
    "fs": ("disk", False, True),
    "filesystem": ("disk", False, True),
    "hybrid": ("hybrid", True, True),
}


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Sizes in bytes, capacities in entries, `ttl` in seconds (0: no expiry).

    `type` is memory, disk (or fs, filesystem), hybrid, or empty for none.
    """

    type: str = ""
    memory_max_bytes: int = 64 << 20
    memory_capacity: int = 1000
    disk_path: str = ""
    disk_max_bytes: int = 1 << 30
    disk_capacity: int = 10000
    ttl: float = 0.0


class Cache:
    """Tiers in the order in which they are asked; what a slower one has is promoted to the faster ones."""

    def __init__(self, clock: IReactorTime, name: str, tiers: Sequence[ICacheTier], ttl: float = 0.0) -> None:
        self._clock = clock
        self.name = name
        self.tiers = tuple(tiers)
        self._ttl = ttl

    async def get(self, key: bytes) -> tuple[CacheEntry, str] | None:
        """The entry under *key* and the name of the tier that had it."""
        for index, tier in enumerate(self.tiers):
            entry = await tier.get(key)
            if entry is None:
                continue
            # An entry from further in the future was made by a clock that has been put back since.
            if self._ttl and not abs(self._clock.seconds() - entry.stored_at) <= self._ttl:
                await self.remove(key)
                return None
            for faster in self.tiers[:index]:
                await faster.put(key, entry)
            return entry, tier.name
        return None

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[Any]:
        """Store *entry* in every tier; fires when the slowest has it."""
        return DeferredList([tier.put(key, entry) for tier in self.tiers], consumeErrors=True)

    async def once(self, key: bytes, make: Callable[[], Awaitable[T]], serve: Callable[[CacheEntry], T]) -> T:
        """What *make* returns; where a process that shares the disk is making it, *serve* of what that has stored.

        Sharing needs a disk tier: with memory alone each process makes its own.
        """

        async def find() -> T | None:
            found = await self.get(key)
            return None if found is None else serve(found[0])

        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                return await tier.once(key, find, make)
        return await make()

    async def remove(self, key: bytes) -> bool:
        """Forget *key* everywhere."""
        return any([await tier.remove(key) for tier in self.tiers])

    def start(self) -> None:
        """Start what the tiers run in the background."""
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                tier.start()

    async def close(self) -> None:
        """Finish what is being written."""
        for tier in self.tiers:
            await tier.close()


def make_cache(reactor: IDiskReactor, settings: CacheSettings, on_fault: FaultObserver) -> Cache | None:
    """The cache that *settings* describe; None for an empty type, ValueError for an unknown one."""
    if settings.type not in _TYPES:
        raise ValueError(f"{settings.type!r} is no type of cache: one of {', '.join(filter(None, _TYPES))}")
    name, in_memory, on_disk = _TYPES[settings.type]
    tiers: list[ICacheTier] = []
    if in_memory:
        tiers.append(MemoryTier(settings.memory_max_bytes, settings.memory_capacity))
    if on_disk:
        tiers.append(
            DiskTier(
                reactor,
                settings.disk_path,
                max_bytes=settings.disk_max_bytes,
                capacity=settings.disk_capacity,
                max_age=settings.ttl,
                on_fault=on_fault,
            )
        )
    return Cache(reactor, name, tiers, settings.ttl) if tiers else None
