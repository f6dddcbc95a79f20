"""What a process asks of the system: an allocator set for images, and many descriptors."""

from __future__ import annotations

import ctypes
import gc
import resource

__all__ = ["raise_descriptor_limit", "settle", "tune_allocator"]

# By default glibc maps every large buffer anew and gives it back at once, so that each image pays for its pages again:
# that cost 15 % of the throughput. With these, buffers up to 32 MiB (the most that glibc takes) come from the heap, and
# up to 16 MiB that are free at its end are kept: with 128 MiB a mix of images took a tenth more memory at the same CPU
# time, with 1 MiB an eighth less at 5 % more. The memory of a process is bounded by that and by its images at work.
_MMAP_THRESHOLD = 32 << 20
_TRIM_THRESHOLD = 16 << 20
# Threads share few arenas, as no arena can use the free memory of another. With one they wait for each other: small
# images then take a fifth more CPU time.
_ARENAS = 2

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

# Used where there is no hard limit: programs that go through all their possible descriptors still end.
_MAX_DESCRIPTORS = 1 << 20


def tune_allocator() -> None:
    """Sets the allocator of this process and its forks, where its C library is glibc (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
        mallopt(_M_ARENA_MAX, _ARENAS)


def settle() -> None:
    """Ends the start of this process, during which Python's garbage collector may have been off (`gc.disable`).

    What the start has made lives as long as the process: the collector leaves it out from now on. It does not look for
    garbage of the start first, which is some 600 of 110,000 objects: that takes 30 ms. Memory that the start has freed
    goes back to the system.
    """
    gc.freeze()
    gc.enable()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def raise_descriptor_limit() -> int:
    """Raises the limit of open descriptors, of this process and its children, to the hard limit; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        return limit
    return _MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
