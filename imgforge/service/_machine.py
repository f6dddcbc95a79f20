"""What this machine lets us use, and how the C library's allocator is set for images."""

from __future__ import annotations

import ctypes
import math
import os
from pathlib import Path

__all__ = ["allocator_environment", "die_with_parent", "tune_allocator", "usable_cpus"]

# By default glibc maps every large buffer anew and gives it back at once, so that each image pays for its pages again:
# that cost 15 % of the throughput. Up to 32 MiB (the most that glibc takes) buffers now come from the heap, and up
# to so many free bytes at its end are kept. What a process keeps is bounded by that and by its images at work.
_MMAP_THRESHOLD = 32 << 20
_TRIM_THRESHOLD = 128 << 20
# Threads share few arenas, for what one of them keeps free no other can use.
_ARENAS = 2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_PR_SET_PDEATHSIG = 1  # prctl.h


def usable_cpus() -> int:
    """The CPUs that this process may use: its affinity, cut by a cgroup's quota and rounded up; at least 1."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), _cgroup_cpus())))


def _cgroup_cpus(root: str = "/sys/fs/cgroup") -> float:
    try:
        quota, _, period = Path(root, "cpu.max").read_text().partition(" ")
        if quota != "max":
            return int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = int(Path(root, "cpu/cpu.cfs_quota_us").read_text())
        if limit > 0:
            return limit / int(Path(root, "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        pass
    return math.inf


def allocator_environment() -> dict[str, str]:
    """The environment that sets the allocator of a process that is to be started."""
    return {
        "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
        "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
        "MALLOC_ARENA_MAX": str(_ARENAS),
    }


def tune_allocator() -> None:
    """The same for this process, where its C library is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
        mallopt(_M_ARENA_MAX, _ARENAS)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent dies, whatever kills it."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal_number)
