"""Times in a bucket are the store's: purges of one node are compared with entries of others, whose clocks may differ.

A node converts by how far the store's clock is ahead of its own, as the store's answers show; nothing changes where the
two may agree.
"""

from __future__ import annotations

from dataclasses import replace

from imgforge.model import CacheEntry, Purge

__all__ = ["entry_moved", "purge_moved"]


def entry_moved(entry: CacheEntry, seconds: float) -> CacheEntry:
    """*entry* with its times by a clock that is *seconds* ahead."""
    if not seconds:
        return entry
    asked_at = entry.asked_at + seconds if entry.asked_at else 0.0
    return replace(entry, stored_at=entry.stored_at + seconds, asked_at=asked_at)


def purge_moved(purge: Purge, seconds: float) -> Purge:
    """*purge* with its time by a clock that is *seconds* ahead."""
    return Purge(purge.at + seconds, purge.kind, purge.value) if seconds else purge
