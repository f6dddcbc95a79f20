"""Eviction from the disk tier: the least recently used entries go first, for size, age or free space."""

from imgforge.cache.eviction.janitor import Janitor
from imgforge.cache.eviction.sweeping import DiskLimits, Sweep, SweepOptions, sweep

__all__ = ["DiskLimits", "Janitor", "Sweep", "SweepOptions", "sweep"]
