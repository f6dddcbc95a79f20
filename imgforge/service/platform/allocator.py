"""What we ask of the system: an allocator that is set for images, descriptors enough, and to end with the parent."""

from __future__ import annotations

import ctypes
import resource
import signal

__all__ = ["allocator_environment", "confine", "die_with_parent", "raise_descriptor_limit", "tune_allocator"]

# By default glibc maps every large buffer anew and gives it back at once, so that each image pays for its pages again:
# that cost 15 % of the throughput. Up to 32 MiB (the most that glibc takes) buffers now come from the heap, and up
# to so many free bytes at its end are kept. What a process keeps is bounded by that and by its images at work.
_MMAP_THRESHOLD = 32 << 20
_TRIM_THRESHOLD = 128 << 20
# Threads share few arenas, for what one of them keeps free no other can use.
_ARENAS = 2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # prctl.h

# Where the hard limit is none at all: programs that go through all their possible descriptors still end.
_MOST_DESCRIPTORS = 1 << 20


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


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, whatever kills that and whatever is at work here."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def confine() -> None:
    """Give up for good, for this process and its children, what serving images does not need; `OSError` if it cannot.

    A core file would hold the secrets; new privileges come from set-user-ID programs and file capabilities only.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is None or prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "IMGFORGE_SANDBOX: this system cannot forbid new privileges")


def raise_descriptor_limit() -> int:
    """Let this process and its children have as many open descriptors as they may; returns how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
