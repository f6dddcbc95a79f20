"""How many CPUs this process may use: its affinity, and the quota of its control groups."""

from __future__ import annotations

import math
import os
from pathlib import Path

from imgforge.service.platform.cgroups import HIERARCHIES, MEMBERSHIP, group_directories, words

__all__ = ["cgroup_cpus", "usable_cpus"]


def usable_cpus() -> int:
    """The number of CPUs that this process may use: its affinity, limited by the quota, rounded up; at least 1."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), cgroup_cpus(MEMBERSHIP, HIERARCHIES))))


def cgroup_cpus(membership: Path, hierarchies: Path) -> float:
    """The smallest quota, in CPUs, of the groups that *membership* lists and of their parents; infinity if none.

    See cpu.max in the kernel's cgroup-v2.rst.
    """
    groups = group_directories("cpu", membership, hierarchies)
    return min((_quota(version, directory) for version, directory in groups), default=math.inf)


def _quota(version: int, directory: Path) -> float:
    if version == 2:
        return _quotient(*words(directory / "cpu.max"))
    return _quotient(*words(directory / "cpu.cfs_quota_us"), *words(directory / "cpu.cfs_period_us"))


def _quotient(quota: str = "max", period: str = "") -> float:
    """The CPUs of a quota over a period, both in microseconds; "max" and -1 are no quota."""
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    return math.inf
