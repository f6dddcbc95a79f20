"""Caches results and originals: their keys, the tiers that store them, and the cache that combines tiers."""

from typing import TYPE_CHECKING

from imgforge.lazy_door import lazy_door

if TYPE_CHECKING:
    from imgforge.cache.atomic_file import replacing
    from imgforge.cache.bucket import BucketSettings
    from imgforge.cache.directory_walk import entries, remove
    from imgforge.cache.disk import DiskTier
    from imgforge.cache.entry_file import CorruptEntry, OldEntry, entry_path, read_entry, read_metadata, write_entry
    from imgforge.cache.entry_format import decode, encode
    from imgforge.cache.eviction import DiskLimits, Sweep, SweepOptions, sweep
    from imgforge.cache.inventory import DiskInventory, Inventory, ListedEntry, Watch, prune_by_walks
    from imgforge.cache.keys import KEY_BYTES, URL_BYTES, entry_key, fingerprint, info_key, original_key
    from imgforge.cache.making import CacheSettings, make_cache
    from imgforge.cache.memory import MemoryTier
    from imgforge.cache.purge import Purges
    from imgforge.cache.redis import RedisSettings
    from imgforge.cache.shared_settings import SharedTierSettings
    from imgforge.cache.shared_tiers import (
        TIER_PLUGINS,
        shared_inventory,
        shared_tier_factory,
        shared_tier_mistakes,
        unknown_shared_tier,
    )
    from imgforge.cache.tiered import Cache
    from imgforge.cache.writable_directory import usable_directory
    from imgforge.model import Purge, PurgeKind

__all__ = [
    "KEY_BYTES",
    "TIER_PLUGINS",
    "URL_BYTES",
    "BucketSettings",
    "Cache",
    "CacheSettings",
    "CorruptEntry",
    "DiskInventory",
    "DiskLimits",
    "DiskTier",
    "Inventory",
    "ListedEntry",
    "MemoryTier",
    "OldEntry",
    "Purge",
    "PurgeKind",
    "Purges",
    "RedisSettings",
    "SharedTierSettings",
    "Sweep",
    "SweepOptions",
    "Watch",
    "decode",
    "encode",
    "entries",
    "entry_key",
    "entry_path",
    "fingerprint",
    "info_key",
    "make_cache",
    "original_key",
    "prune_by_walks",
    "read_entry",
    "read_metadata",
    "remove",
    "replacing",
    "shared_inventory",
    "shared_tier_factory",
    "shared_tier_mistakes",
    "sweep",
    "unknown_shared_tier",
    "usable_directory",
    "write_entry",
]

__getattr__ = lazy_door(
    __name__,
    {
        ".atomic_file": ("replacing",),
        ".bucket": ("BucketSettings",),
        ".directory_walk": (
            "entries",
            "remove",
        ),
        ".disk": ("DiskTier",),
        ".writable_directory": ("usable_directory",),
        ".entry_file": (
            "CorruptEntry",
            "OldEntry",
            "entry_path",
            "read_entry",
            "read_metadata",
            "write_entry",
        ),
        ".entry_format": ("decode", "encode"),
        ".eviction": (
            "DiskLimits",
            "Sweep",
            "SweepOptions",
            "sweep",
        ),
        ".inventory": (
            "DiskInventory",
            "Inventory",
            "ListedEntry",
            "Watch",
            "prune_by_walks",
        ),
        ".keys": (
            "KEY_BYTES",
            "URL_BYTES",
            "entry_key",
            "fingerprint",
            "info_key",
            "original_key",
        ),
        ".memory": ("MemoryTier",),
        ".making": (
            "CacheSettings",
            "make_cache",
        ),
        ".purge": ("Purges",),
        ".redis": ("RedisSettings",),
        ".shared_settings": ("SharedTierSettings",),
        ".shared_tiers": (
            "TIER_PLUGINS",
            "shared_inventory",
            "shared_tier_factory",
            "shared_tier_mistakes",
            "unknown_shared_tier",
        ),
        ".tiered": ("Cache",),
        "imgforge.model": ("Purge", "PurgeKind"),
    },
)
