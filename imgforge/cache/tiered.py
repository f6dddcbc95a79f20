"""The cache as the pipeline sees it: one or two tiers, looked through from the fastest on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, succeed

from imgforge.cache.disk import DiskTier, FaultObserver
from imgforge.cache.eviction import DiskLimits
from imgforge.cache.memory import MemoryTier
from imgforge.cache.purge import PurgeFollower, Purges
from imgforge.interfaces import ICacheTier, IMemoryTier, IServerReactor, ISharedTier
from imgforge.model import CacheEntry, Purge, PurgeKind

__all__ = ["Cache", "CacheSettings", "make_cache"]

T = TypeVar("T")

# By the setting's value: the cache's name in metrics, and whether it has a memory and a disk tier.
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

    `type` is memory, disk (or fs, filesystem), hybrid, or empty for no cache. `directory` is where the processes of a
    server tell each other of purges if they have no disk tier in common. `disk_min_free` are bytes of the medium that
    stay free; less than 0 is a usual amount. `name` is the cache's name in metrics, by default its type.
    """

    type: str = ""
    memory_max_bytes: int = 64 << 20
    memory_capacity: int = 1000
    disk_path: str = ""
    disk_max_bytes: int = 1 << 30
    disk_capacity: int = 10000
    disk_min_free: int = 0
    directory: str = ""
    name: str = ""


class Cache(MultiService):
    """Tiers in the order in which they are asked; an entry found in a slower one is promoted to the faster ones.

    Entries are kept while there is space, even stale ones: the pipeline decides what a stale entry is good for. The
    tiers and the follower of purges run while this service does; stopping it finishes what is being written.
    """

    name: str  # in metrics

    def __init__(
        self, reactor: IServerReactor, name: str, tiers: Sequence[ICacheTier], follower: PurgeFollower | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.tiers = tuple(tiers)
        self._reactor = reactor
        # The tier in this process's memory, from which the fast lane serves, and the one for several processes.
        self.memory = next((IMemoryTier(tier) for tier in tiers if IMemoryTier.providedBy(tier)), None)
        self._shared = next((ISharedTier(tier) for tier in tiers if ISharedTier.providedBy(tier)), None)
        self._follower = follower or PurgeFollower(reactor)
        self._follower.add_observer(self._drop_purged)
        for tier in tiers:
            if IService.providedBy(tier):
                IService(tier).setServiceParent(self)

    def sibling(self, name: str, tiers: Sequence[ICacheTier]) -> Cache:
        """Another cache, for which the same purges count."""
        return Cache(self._reactor, name, tiers, self._follower)

    async def get(self, key: bytes) -> tuple[CacheEntry, str] | None:
        """The entry under *key* and the name of the tier that had it."""
        await self._follower.loaded()
        for index, tier in enumerate(self.tiers):
            entry = await tier.get(key)
            if entry is None:
                continue
            if self._follower.covers(key, entry):
                await self.remove(key)
                return None
            for faster in self.tiers[:index]:
                await faster.put(key, entry)
            return entry, tier.name
        return None

    async def size_of(self, key: bytes) -> int:
        """About how many bytes the body has that `get` gives."""
        for tier in self.tiers:
            size = await tier.size_of(key)
            if size:
                return size
        return 0

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[Any]:
        """Store *entry* in every tier, unless it was purged while it was made; fires when the slowest has it."""
        if self._follower.covers(key, entry):
            return succeed(None)
        return DeferredList([tier.put(key, entry) for tier in self.tiers], consumeErrors=True)

    async def once(
        self,
        key: bytes,
        make: Callable[[], Awaitable[T]],
        serve: Callable[[CacheEntry], T | None],
        kept: Callable[[T], bool] = lambda _made: True,
    ) -> T:
        """The result of *make*; where another process that shares the disk is making it, *serve* of its entry.

        *serve* gives None for an entry that is not good enough, such as a stale one. *kept* says of a result of *make*
        whether it is in the cache; other processes do not wait for a result that is not. With memory tiers alone each
        process makes its own.
        """

        async def find() -> T | None:
            found = await self.get(key)
            return None if found is None else serve(found[0])

        if self._shared is None:
            return await make()
        return await self._shared.coalesce(key, find, make, kept)

    async def remove(self, key: bytes) -> bool:
        """Remove the entry under *key* from every tier; False if none had it."""
        return any([await tier.remove(key) for tier in self.tiers])

    async def purge(self, kind: PurgeKind, value: str) -> int:
        """Remove the entries that match, here and in all processes and hosts that share the disk or the directory.

        Returns how many entries were removed: files where there is a disk tier, as many as are known within seconds
        (the others are not served either, and removed later); else entries in this process's memory, for the entries of
        other processes are not counted. `PurgeFailed` where the purge cannot be recorded for the others.
        """
        purge = Purge(self._reactor.seconds(), kind, value)
        purges = Purges([purge])
        dropped = 0 if self.memory is None else self.memory.drop(purges.covers)
        await self._follower.add(purge)
        return dropped if self._shared is None else await self._shared.purge(purge)

    def purged_at(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """The time of the last purge of entries with this key, source and tags; minus infinity for none."""
        return self._follower.last_purge(key, source, tags)

    def _drop_purged(self) -> None:
        if self.memory is not None:
            self.memory.drop(self._follower.covers)


def make_cache(reactor: IServerReactor, settings: CacheSettings, on_fault: FaultObserver) -> Cache | None:
    """The cache that *settings* describe; None for an empty type, ValueError for an unknown one."""
    if settings.type not in _TYPES:
        raise ValueError(f"{settings.type!r} is no type of cache: one of {', '.join(filter(None, _TYPES))}")
    name, in_memory, on_disk = _TYPES[settings.type]
    tiers: list[ICacheTier] = []
    follower = PurgeFollower(reactor, settings.disk_path if on_disk else settings.directory, files=on_disk)
    if in_memory:
        tiers.append(MemoryTier(settings.memory_max_bytes, settings.memory_capacity))
    if on_disk:
        limits = DiskLimits(settings.disk_max_bytes, settings.disk_capacity, free=settings.disk_min_free)
        tiers.append(DiskTier(reactor, settings.disk_path, limits, on_fault=on_fault, follower=follower))
    if not tiers:
        return None
    cache = Cache(reactor, settings.name or name, tiers, follower)
    follower.setServiceParent(cache)
    return cache
