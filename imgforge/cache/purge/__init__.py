"""Purges by URL, source, prefix and tag: those a process knows, a journal, and the removal of covered entries."""

from imgforge.cache.purge.follower import PurgeFollower
from imgforge.cache.purge.known import FINAL_AFTER, KnownPurges
from imgforge.cache.purge.packed import PackedPurges
from imgforge.cache.purge.purges import Purges
from imgforge.cache.purge.remover import PurgeRemover
from imgforge.cache.purge.searches import PurgeSearches, PurgeTask

__all__ = [
    "FINAL_AFTER",
    "KnownPurges",
    "PackedPurges",
    "PurgeFollower",
    "PurgeRemover",
    "PurgeSearches",
    "PurgeTask",
    "Purges",
]
