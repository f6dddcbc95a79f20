"""What the metrics show of a serving process: its versions, its figures, its caches."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from imgforge import __version__, processing
from imgforge.cache import Cache
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
    show = {"memory": state.memory_tier, "disk": state.disk_tier}
    for name, cache in caches.items():
        for tier in cache.tiers:
            usage = tier.usage()
            if usage is not None:
                show[tier.name](name, usage.bytes, usage.entries)
