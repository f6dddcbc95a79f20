"""How many CPUs this process may use: its affinity, and the quota of its control groups (containers, systemd)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["cgroup_cpus", "usable_cpus"]

_MEMBERSHIP = Path("/proc/self/cgroup")
_HIERARCHIES = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """The CPUs that this process may use: its affinity, cut by the quota and rounded up; at least 1."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), cgroup_cpus(_MEMBERSHIP, _HIERARCHIES))))


def cgroup_cpus(membership: Path, hierarchies: Path) -> float:
    """The smallest quota, in CPUs, of the groups that *membership* lists and of those around them; infinity if none.

    A process in a container may see its own group as the root, or a path that only the host has: the groups that are
    not there have no quota. See cgroups(7), and cpu.max in the kernel's cgroup-v2.rst.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            quotas += map(_quota_of_v2, _around(hierarchies, group))
        elif "cpu" in controllers.split(","):
            # Where it is mounted goes by several names.
            for mount in {controllers, "cpu"}:
                quotas += map(_quota_of_v1, _around(hierarchies / mount, group))
    return min(quotas)


def _around(root: Path, group: str) -> Iterator[Path]:
    """The directory of *group* under *root* and all above it, *root* included."""
    path = PurePosixPath(group).relative_to("/")
    for part in (path, *path.parents):
        yield root / part


def _quota_of_v2(directory: Path) -> float:
    return _quotient(*_words(directory / "cpu.max"))


def _quota_of_v1(directory: Path) -> float:
    return _quotient(*_words(directory / "cpu.cfs_quota_us"), *_words(directory / "cpu.cfs_period_us"))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _quotient(quota: str = "max", period: str = "") -> float:
    """The CPUs of a quota over a period, both in microseconds; "max" and -1 are no quota."""
    if quota.isdigit() and period.isdigit() and int(period):
        return int(quota) / int(period)
    return math.inf
