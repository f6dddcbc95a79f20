"""Finished renditions, kept: keys, tiers, and the cache that joins them."""

from imgforge.cache._cache import Cache, CacheSettings, make_cache
from imgforge.cache._disk import DiskTier, usable_directory
from imgforge.cache._file import CorruptEntry, OldEntry, entry_path, read_entry, read_metadata, write_entry
from imgforge.cache._key import KEY_BYTES, URL_BYTES, entry_key, fingerprint, original_key
from imgforge.cache._memory import Marked, MemoryTier
from imgforge.cache._purges import Kind, Purge, Purges
from imgforge.cache._replace import replacing
from imgforge.cache._sweep import Sweep, sweep
from imgforge.cache._walk import entries, remove
from imgforge.file_threads import IDiskReactor

__all__ = [
    "KEY_BYTES",
    "URL_BYTES",
    "Cache",
    "CacheSettings",
    "CorruptEntry",
    "DiskTier",
    "IDiskReactor",
    "Kind",
    "Marked",
    "MemoryTier",
    "OldEntry",
    "Purge",
    "Purges",
    "Sweep",
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
