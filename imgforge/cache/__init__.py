"""Caches results and originals: their keys, the tiers that store them, and the cache that combines tiers."""

from imgforge.cache.atomic_file import replacing
from imgforge.cache.directory_walk import entries, remove
from imgforge.cache.disk import DiskTier, usable_directory
from imgforge.cache.entry_file import CorruptEntry, OldEntry, entry_path, read_entry, read_metadata, write_entry
from imgforge.cache.eviction import DiskLimits, Sweep, SweepOptions, sweep
from imgforge.cache.keys import KEY_BYTES, URL_BYTES, entry_key, fingerprint, original_key
from imgforge.cache.memory import MemoryTier
from imgforge.cache.purge import Purges
from imgforge.cache.tiered import Cache, CacheSettings, make_cache
from imgforge.model import Purge, PurgeKind

__all__ = [
    "KEY_BYTES",
    "URL_BYTES",
    "Cache",
    "CacheSettings",
    "CorruptEntry",
    "DiskLimits",
    "DiskTier",
    "MemoryTier",
    "OldEntry",
    "Purge",
    "PurgeKind",
    "Purges",
    "Sweep",
    "SweepOptions",
    "entries",
    "entry_key",
    "entry_path",
    "fingerprint",
    "make_cache",
    "original_key",
    "read_entry",
    "read_metadata",
    "remove",
    "replacing",
    "sweep",
    "usable_directory",
    "write_entry",
]
