"""Eviction from the disk tier: the least recently used entries go first, for size, age or free space."""

from imgforge.cache.eviction.free_space import DISK_FULL
from imgforge.cache.eviction.janitor import Janitor
from imgforge.cache.eviction.sweeping import DiskLimits, Sweep, SweepOptions, sweep

__all__ = ["DISK_FULL", "DiskLimits", "Janitor", "Sweep", "SweepOptions", "sweep"]
