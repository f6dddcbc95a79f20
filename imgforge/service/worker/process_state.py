"""What the metrics show of a serving process: its versions, its figures, its caches."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from imgforge import __version__, processing
from imgforge.cache import Cache, DiskTier, MemoryTier
from imgforge.observability import StateMetrics
from twisted import __version__ as twisted_version

__all__ = ["show_build", "show_caches"]


def show_build(state: StateMetrics) -> None:
    """The versions of what runs here."""
    state.build(
        version=__version__,
        libvips=processing.capabilities().version,
        python=platform.python_version(),
        twisted=twisted_version,
    )


def show_caches(state: StateMetrics, caches: Mapping[str, Cache]) -> None:
    """What the tiers of *caches* hold, by the caches' names."""
    for name, cache in caches.items():
        for tier in cache.tiers:
            if isinstance(tier, MemoryTier):
                state.memory_tier(name, tier.bytes, len(tier))
            elif isinstance(tier, DiskTier) and tier.known is not None:
                state.disk_tier(name, tier.known.bytes, tier.known.entries)
