"""Brings a directory of entries under its limits, and removes temporary files that crashes left behind.

There is no index: a sweep walks the directories. It holds no list of files, however many there are: a first walk
adds up the sizes. If they exceed a limit, a second walk counts the ages into buckets, which give the age beyond which
files are removed, and a third walk removes them. One process sweeps at a time, by a lock on a file in the directory.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from imgforge.cache.directory_walk import FoundFile, WalkStopped, entries, never_stop, our_files, remove
from imgforge.cache.entry_file import TEMPORARY_NAME

__all__ = ["DiskLimits", "Sweep", "SweepOptions", "last_sweep", "sweep"]

_LOCK = "janitor.lock"
_RESULT = "janitor.left"
_ABANDONED_AFTER = 3600.0
_BUCKETS = 4096
# The part of a limit that an eviction leaves in use, so that the next entries do not start another eviction.
_LOW_WATER = 0.95
# A sweep of many files takes long: the next one, in any process, starts this many times as long after it.
_REST_FACTOR = 20.0


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """What a directory may hold: bytes of files, their number, and seconds since they were last used; 0 is no limit.

    `free` are the bytes of the file system that stay free; 0 is none, less than 0 a usual amount (see `FreeSpace`).
    """

    bytes: int = 0
    entries: int = 0
    age: float = 0.0
    free: int = 0


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """When a sweep is skipped or stopped, and what it removes beside the entries beyond the limits.

    It is skipped where the last one, of any process, ended less than `rest` seconds ago, or later than `since` (seconds
    since the epoch). `stopping` is called before each directory; the sweep stops where it returns True. `purged` tells
    whether the entry in a file was purged; None spares the sweep the reading of each file. `lacking` returns the bytes
    that must be removed for free space, 0 or less for none; an eviction for free space removes at least a twentieth of
    all bytes.
    """

    rest: float = 0.0
    since: float = math.inf
    stopping: Callable[[], bool] = never_stop
    purged: Callable[[FoundFile], bool] | None = None
    lacking: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of a sweep: `bytes` and `entries` are left, `removed` entries are gone.

    The last sweep of any process that looked for purged entries began at `looked_at`, in seconds since the epoch.
    """

    bytes: int = 0
    entries: int = 0
    removed: int = 0
    looked_at: float = 0.0


_DEFAULTS = SweepOptions()


def sweep(root: str, limits: DiskLimits, options: SweepOptions = _DEFAULTS) -> Sweep | None:
    """Bring *root* under *limits*; None where the sweep was skipped or stopped, or another process is sweeping.

    OSError where the medium refuses.
    """
    Path(root).mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(Path(root, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (options.rest and _resting(lock, options.rest)) or _swept_since(lock, options.since):
            return None
        began = time.time()
        before = last_sweep(root)
        looked_at = began if options.purged is not None else before.looked_at if before is not None else 0.0
        result = replace(_Walk(root, limits, options).sweep(began), looked_at=looked_at)
        os.utime(lock, (began, time.time()))
        _write_result(root, result)
    except (BlockingIOError, WalkStopped):
        return None
    finally:
        os.close(lock)
    return result


def _write_result(root: str, result: Sweep) -> None:
    """Write what the sweep left to a file; not to the lock file, for reading it would change its access time."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):  # on a full disk the sweep itself has still been done
        file = os.open(Path(root, _RESULT), flags, 0o600)
        try:
            os.write(file, f"{result.bytes} {result.entries} {result.looked_at}\n".encode("ascii"))
        finally:
            os.close(file)


def last_sweep(root: str) -> Sweep | None:
    """What the last sweep of *root* left, by any process or host; None where the file is missing or damaged."""
    try:
        text = Path(root, _RESULT).read_text("ascii")
        total, entries, *looked_at = text.split()  # older versions wrote two numbers
        looked = float(looked_at[0]) if looked_at else 0.0
        looked = looked if 0 <= looked <= time.time() else 0.0
        return Sweep(int(total), int(entries), looked_at=looked) if text.endswith("\n") else None
    except (OSError, ValueError):
        return None


def _swept_since(lock: int, since: float) -> bool:
    """Whether a sweep has ended after *since*; the two times of a new lock file are equal."""
    status = os.fstat(lock)
    return since < status.st_mtime and status.st_atime < status.st_mtime


def _resting(lock: int, rest: float) -> bool:
    """Whether the last sweep is recent; it took from the lock file's access time to its modification time."""
    status = os.fstat(lock)
    took, since = status.st_mtime - status.st_atime, time.time() - status.st_mtime
    return took > 0 and 0 <= since < max(rest, took * _REST_FACTOR)


class _Walk:
    """The walks of one sweep."""

    def __init__(self, root: str, limits: DiskLimits, options: SweepOptions) -> None:
        self._root = root
        self._limits = limits
        self._options = options

    def sweep(self, now: float) -> Sweep:
        limits, options = self._limits, self._options
        total = entries = removed = 0
        oldest = now
        for file, status in our_files(self._root, options.stopping):
            age = now - status.st_mtime
            if TEMPORARY_NAME.fullmatch(file.name):
                if age > _ABANDONED_AFTER:
                    remove(file)
            elif (limits.age and age > limits.age) or (options.purged and options.purged((file, status))):
                removed += remove(file)
            else:
                total, entries, oldest = total + status.st_size, entries + 1, min(oldest, status.st_mtime)
        over_limit = (limits.bytes and total > limits.bytes) or (limits.entries and entries > limits.entries)
        lacking = options.lacking()
        if over_limit or lacking > 0:
            excess_bytes = total - int(limits.bytes * _LOW_WATER) if limits.bytes else 0
            excess_entries = entries - int(limits.entries * _LOW_WATER) if limits.entries else 0
            if lacking > 0:
                excess_bytes = max(excess_bytes, lacking, total - int(total * _LOW_WATER))
            evicted_bytes, evicted = self._evict(oldest, now, excess_bytes, excess_entries)
            total, entries, removed = total - evicted_bytes, entries - evicted, removed + evicted
        return Sweep(total, entries, removed)

    def _evict(self, oldest: float, now: float, excess_bytes: int, excess_entries: int) -> tuple[int, int]:
        """Remove the oldest entries until both excesses are gone; returns the bytes and entries removed."""
        stopping = self._options.stopping
        width = max((now - oldest) / _BUCKETS, 1e-6)

        def bucket(status: os.stat_result) -> int:
            return min(_BUCKETS - 1, max(0, int((status.st_mtime - oldest) / width)))

        sizes, counts = [0] * _BUCKETS, [0] * _BUCKETS
        for _, status in entries(self._root, stopping):
            sizes[bucket(status)] += status.st_size
            counts[bucket(status)] += 1
        last, planned_bytes, planned = -1, 0, 0
        while last + 1 < _BUCKETS and (planned_bytes < excess_bytes or planned < excess_entries):
            last += 1
            planned_bytes, planned = planned_bytes + sizes[last], planned + counts[last]
        removed_bytes = removed = 0
        for file, status in entries(self._root, stopping):
            if removed_bytes >= excess_bytes and removed >= excess_entries:
                break
            if bucket(status) <= last and remove(file):
                removed_bytes, removed = removed_bytes + status.st_size, removed + 1
        return removed_bytes, removed
