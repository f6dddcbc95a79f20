"""How much memory this process may use: the machine's, and the limit of its control groups."""

from __future__ import annotations

import math
import os
from pathlib import Path

from imgforge.config import Settings
from imgforge.service.platform.cgroups import HIERARCHIES, MEMBERSHIP, group_directories, words

__all__ = ["cgroup_memory", "pixel_bytes", "usable_bytes"]

_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def usable_bytes() -> int:
    """The bytes that this process and the others of its control group may use together."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min(machine, cgroup_memory(MEMBERSHIP, HIERARCHIES)))


def cgroup_memory(membership: Path, hierarchies: Path) -> float:
    """The smallest limit, in bytes, of the groups that *membership* lists and of their parents; infinity if none."""
    groups = group_directories("memory", membership, hierarchies)
    return min((_limit(directory / _FILES[version]) for version, directory in groups), default=math.inf)


def _limit(path: Path) -> float:
    limit = "".join(words(path))
    return int(limit) if limit.isdigit() else math.inf


def pixel_bytes(settings: Settings, processes: int) -> int:
    """The bytes that images being processed may take in each of *processes*.

    Together that is IMGFORGE_PROCESSING_MEMORY_MAX_BYTES; where it is 0, half of the usable memory.
    """
    total = settings.processing_memory_max_bytes or usable_bytes() // 2
    return max(1, total // processes)
