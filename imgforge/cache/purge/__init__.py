"""Purges by URL, source, prefix and tag: a journal that all processes follow, and the removal of covered entries."""

from imgforge.cache.purge.follower import PurgeFollower
from imgforge.cache.purge.purges import Purges
from imgforge.cache.purge.remover import Remover

__all__ = ["PurgeFollower", "Purges", "Remover"]
