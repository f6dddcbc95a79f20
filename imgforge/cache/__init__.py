"""Finished renditions, kept: keys, tiers, and the cache that joins them."""

from imgforge.cache.atomic_file import replacing
from imgforge.cache.directory_walk import entries, remove
from imgforge.cache.disk import DiskTier, usable_directory
from imgforge.cache.entry_file import CorruptEntry, OldEntry, entry_path, read_entry, read_metadata, write_entry
from imgforge.cache.eviction.sweep import Sweep, sweep
from imgforge.cache.keys import KEY_BYTES, URL_BYTES, entry_key, fingerprint, original_key
from imgforge.cache.memory import MemoryTier, VisitMark
from imgforge.cache.purge.purges import Kind, Purge, Purges
from imgforge.cache.tiered import Cache, CacheSettings, make_cache
from imgforge.concurrency import IDiskReactor

__all__ = [
    "KEY_BYTES",
    "URL_BYTES",
    "Cache",
    "CacheSettings",
    "CorruptEntry",
    "DiskTier",
    "IDiskReactor",
    "Kind",
    "MemoryTier",
    "OldEntry",
    "Purge",
    "Purges",
    "Sweep",
    "VisitMark",
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
