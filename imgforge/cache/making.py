"""Makes the cache that an operator's settings describe."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgforge.cache.disk import DiskTier
from imgforge.cache.eviction import DiskLimits
from imgforge.cache.faults import FaultObserver
from imgforge.cache.memory import MemoryTier
from imgforge.cache.purge import KnownPurges, PurgeFollower
from imgforge.cache.shared_settings import SharedTierSettings
from imgforge.cache.tiered import Cache
from imgforge.interfaces import ICacheTier, IServerReactor

__all__ = ["CacheSettings", "make_cache"]

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

    `type` is memory, disk (or fs, filesystem), hybrid, or empty for no tier of the node's own; `shared` describes the
    tier behind them. `directory` is where the processes of a server tell each other of purges if they have no disk tier
    in common. `disk_min_free` are bytes of the medium that stay free; less than 0 is a usual amount. `name` is the
    cache's name in metrics, by default its type.
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
    shared: SharedTierSettings = field(default_factory=SharedTierSettings)


def make_cache(reactor: IServerReactor, settings: CacheSettings, on_fault: FaultObserver) -> Cache | None:
    """The cache that *settings* describe; None where there is no tier.

    ValueError for an unknown type or shared tier, or one that lacks a library; `PluginError` where a plugin fails.
    """
    if settings.type not in _TYPES:
        raise ValueError(f"{settings.type!r} is no type of cache: one of {', '.join(filter(None, _TYPES))}")
    name, in_memory, on_disk = _TYPES[settings.type]
    purges = KnownPurges(reactor.seconds)
    memory = MemoryTier(settings.memory_max_bytes, settings.memory_capacity) if in_memory else None
    behind: list[ICacheTier] = []
    if on_disk:
        limits = DiskLimits(settings.disk_max_bytes, settings.disk_capacity, free=settings.disk_min_free)
        behind.append(DiskTier(reactor, settings.disk_path, limits, on_fault=on_fault, purges=purges))
    if settings.shared.use:
        from imgforge.cache.shared_tiers import make_shared_tier  # for servers that share one

        behind.append(make_shared_tier(reactor, settings.shared, on_fault))
        name = name or behind[-1].name
    if memory is None and not behind:
        return None
    journal = PurgeFollower(reactor, settings.directory) if settings.directory and not on_disk else None
    return Cache(reactor, settings.name or name, memory, behind, purges=purges, journal=journal)
