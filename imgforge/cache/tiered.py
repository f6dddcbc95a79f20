"""The cache as the pipeline sees it: one or two tiers, looked through from the fastest on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, succeed

from imgforge.cache.disk import DiskTier, FaultObserver
from imgforge.cache.memory import MemoryTier
from imgforge.cache.purge.follower import Purging
from imgforge.cache.purge.purges import Kind, Purge, Purges
from imgforge.concurrency import IDiskReactor
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
    """Sizes in bytes, capacities in entries.

    `type` is memory, disk (or fs, filesystem), hybrid, or empty for none. `directory` is where the processes of a
    server tell each other what has been purged, if they have no disk tier in common. `disk_min_free` are bytes of the
    medium that stay free; less than 0 is as many as is usual.
    """

    type: str = ""
    memory_max_bytes: int = 64 << 20
    memory_capacity: int = 1000
    disk_path: str = ""
    disk_max_bytes: int = 1 << 30
    disk_capacity: int = 10000
    disk_min_free: int = 0
    directory: str = ""


class Cache:
    """Tiers in the order in which they are asked; what a slower one has is promoted to the faster ones.

    Entries are kept while there is room, also when they are old: what an old one is good for, the pipeline decides.
    """

    def __init__(
        self, clock: IDiskReactor, name: str, tiers: Sequence[ICacheTier], purging: Purging | None = None
    ) -> None:
        self._clock = clock
        self.name = name
        self.tiers = tuple(tiers)
        self._purging = purging or Purging(clock)
        self._purging.on_news.append(self._forget_purged)

    def sibling(self, name: str, tiers: Sequence[ICacheTier]) -> Cache:
        """Another cache, for which the same purges count."""
        return Cache(self._clock, name, tiers, self._purging)

    async def get(self, key: bytes) -> tuple[CacheEntry, str] | None:
        """The entry under *key* and the name of the tier that had it."""
        await self._purging.loaded()
        for index, tier in enumerate(self.tiers):
            entry = await tier.get(key)
            if entry is None:
                continue
            if self._purging.cover(key, entry):
                await self.remove(key)
                return None
            for faster in self.tiers[:index]:
                await faster.put(key, entry)
            return entry, tier.name
        return None

    async def size_of(self, key: bytes) -> int:
        """About how many bytes `get` will bring."""
        for tier in self.tiers:
            size = await tier.size_of(key)
            if size:
                return size
        return 0

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[Any]:
        """Store *entry* in every tier, unless it has been purged while it was made; fires when the slowest has it."""
        if self._purging.cover(key, entry):
            return succeed(None)
        return DeferredList([tier.put(key, entry) for tier in self.tiers], consumeErrors=True)

    async def once(
        self,
        key: bytes,
        make: Callable[[], Awaitable[T]],
        serve: Callable[[CacheEntry], T | None],
        kept: Callable[[T], bool] = lambda _made: True,
    ) -> T:
        """What *make* returns; where a process that shares the disk is making it, *serve* of what that has stored.

        *serve* gives None for an entry that is not good enough, as an old one may be. *kept* says of what was made
        whether it is in the cache: for what is not nobody waits.

        Sharing needs a disk tier: with memory alone each process makes its own.
        """

        async def find() -> T | None:
            found = await self.get(key)
            return None if found is None else serve(found[0])

        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                return await tier.once(key, find, make, kept)
        return await make()

    async def remove(self, key: bytes) -> bool:
        """Forget *key* everywhere."""
        return any([await tier.remove(key) for tier in self.tiers])

    async def purge(self, kind: Kind, value: str) -> int:
        """Forget what matches, here and in all processes and hosts that share the disk or the directory.

        Returns how many entries were removed: files where there is a disk tier, as many as are known within seconds
        (what is left is not served either, and removed later); else entries in this process's memory, for nobody counts
        those of the others. `PurgeFailed` where the others cannot be told.
        """
        purge = Purge(self._clock.seconds(), kind, value)
        covered = Purges([purge])
        removed = sum(tier.purge(covered.cover) for tier in self.tiers if isinstance(tier, MemoryTier))
        await self._purging.add(purge)
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                removed = await tier.purge(purge)
        return removed

    def purged_at(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """When an entry such as these would make was last purged; minus infinity for never."""
        return self._purging.moment(key, source, tags)

    def _forget_purged(self) -> None:
        for tier in self.tiers:
            if isinstance(tier, MemoryTier):
                tier.purge(self._purging.cover)

    def start(self) -> None:
        """Start what the tiers run in the background."""
        self._purging.start()
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                tier.start()

    async def close(self) -> None:
        """Finish what is being written."""
        for tier in self.tiers:
            await tier.close()
        await self._purging.stop()


def make_cache(reactor: IDiskReactor, settings: CacheSettings, on_fault: FaultObserver) -> Cache | None:
    """The cache that *settings* describe; None for an empty type, ValueError for an unknown one."""
    if settings.type not in _TYPES:
        raise ValueError(f"{settings.type!r} is no type of cache: one of {', '.join(filter(None, _TYPES))}")
    name, in_memory, on_disk = _TYPES[settings.type]
    tiers: list[ICacheTier] = []
    purging = Purging(reactor, settings.disk_path if on_disk else settings.directory, files=on_disk)
    if in_memory:
        tiers.append(MemoryTier(settings.memory_max_bytes, settings.memory_capacity))
    if on_disk:
        tiers.append(
            DiskTier(
                reactor,
                settings.disk_path,
                max_bytes=settings.disk_max_bytes,
                capacity=settings.disk_capacity,
                min_free=settings.disk_min_free,
                on_fault=on_fault,
                purging=purging,
            )
        )
    return Cache(reactor, name, tiers, purging) if tiers else None
