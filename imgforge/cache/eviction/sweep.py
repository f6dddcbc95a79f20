"""Brings a directory of entries under its limits, and clears away what crashes left behind.

There is no index: a sweep walks the directories. It holds no list of files, however many there are: a first walk
adds up and, if there is too much, a second one counts the ages into buckets, from which follows the age beyond which
files have to go, and a third one removes them. One process sweeps at a time, by a lock on a file in the directory.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imgforge.cache.directory_walk import Found, Stopped, entries, never, our_files, remove
from imgforge.cache.entry_file import TEMPORARY_NAME

__all__ = ["Sweep", "last_sweep", "sweep"]

_LOCK = "janitor.lock"
_LEFT = "janitor.left"
_ABANDONED_AFTER = 3600.0
_BUCKETS = 4096
# How full the directory is left after an eviction, so that the next entries do not start another one.
_LOW_WATER = 0.95
# Of many files a sweep takes long: all processes together rest this many times as long before the next.
_REST = 20.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found and did; `bytes` and `entries` are what is left."""

    bytes: int = 0
    entries: int = 0
    removed: int = 0


def sweep(
    root: str,
    max_bytes: int,
    max_entries: int,
    max_age: float = 0.0,
    *,
    rest: float = 0.0,
    since: float = math.inf,
    lacking: Callable[[], int] = lambda: 0,
    stopping: Callable[[], bool] = never,
    purged: Callable[[Found], bool] | None = None,
) -> Sweep | None:
    """Bring *root* under its limits (0 is none; *max_age* in seconds), and remove what is *purged*.

    The oldest entries are removed too where *lacking* says that so many bytes must go, and then at least a twentieth.
    None where there was nothing to do: another process is at it, one has been within *rest* seconds or later than
    *since*, or *stopping*, which is asked before each directory, said so. OSError where the medium refuses.
    """
    Path(root).mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(Path(root, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (rest and _rests(lock, rest)) or _swept_since(lock, since):
            return None
        began = time.time()
        result = _Walk(root, stopping, purged).sweep(began, max_bytes, max_entries, max_age, lacking)
        os.utime(lock, (began, time.time()))
        _note(root, result)
    except (BlockingIOError, Stopped):
        return None
    finally:
        os.close(lock)
    return result


def _note(root: str, result: Sweep) -> None:
    """Write down what the sweep left; not in the lock's file, whose times would change by its being read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):  # a full disk has been swept all the same
        file = os.open(Path(root, _LEFT), flags, 0o600)
        try:
            os.write(file, f"{result.bytes} {result.entries}\n".encode("ascii"))
        finally:
            os.close(file)


def last_sweep(root: str) -> Sweep | None:
    """What the last sweep of *root* left, whichever process or host it was of; None where that is not known."""
    try:
        text = Path(root, _LEFT).read_text("ascii")
        total, entries = text.split()
        return Sweep(int(total), int(entries)) if text.endswith("\n") else None
    except (OSError, ValueError):
        return None


def _swept_since(lock: int, since: float) -> bool:
    """Whether a sweep has ended after *since*; a lock file that is new has the same time twice."""
    status = os.fstat(lock)
    return since < status.st_mtime and status.st_atime < status.st_mtime


def _rests(lock: int, rest: float) -> bool:
    """Whether the last sweep, from the lock file's access time to its modification time, is recent."""
    status = os.fstat(lock)
    took, since = status.st_mtime - status.st_atime, time.time() - status.st_mtime
    return took > 0 and 0 <= since < max(rest, took * _REST)


class _Walk:
    """One sweep's way through the directories."""

    def __init__(self, root: str, stopping: Callable[[], bool], purged: Callable[[Found], bool] | None) -> None:
        self._root = root
        self._stopping = stopping
        self._purged = purged

    def sweep(self, now: float, max_bytes: int, max_entries: int, max_age: float, lacking: Callable[[], int]) -> Sweep:
        total = entries = removed = 0
        oldest = now
        for file, status in our_files(self._root, self._stopping):
            age = now - status.st_mtime
            if TEMPORARY_NAME.fullmatch(file.name):
                if age > _ABANDONED_AFTER:
                    remove(file)
            elif (max_age and age > max_age) or (self._purged is not None and self._purged((file, status))):
                removed += remove(file)
            else:
                total, entries, oldest = total + status.st_size, entries + 1, min(oldest, status.st_mtime)
        over_limit = (max_bytes and total > max_bytes) or (max_entries and entries > max_entries)
        missing = lacking()
        if over_limit or missing > 0:
            spare_bytes = total - int(max_bytes * _LOW_WATER) if max_bytes else 0
            spare_entries = entries - int(max_entries * _LOW_WATER) if max_entries else 0
            if missing > 0:
                spare_bytes = max(spare_bytes, missing, total - int(total * _LOW_WATER))
            gone_bytes, gone = self._evict(oldest, now, spare_bytes, spare_entries)
            total, entries, removed = total - gone_bytes, entries - gone, removed + gone
        return Sweep(total, entries, removed)

    def _evict(self, oldest: float, now: float, spare_bytes: int, spare_entries: int) -> tuple[int, int]:
        """Remove the oldest files until both amounts are gone; the bytes and files removed."""
        width = max((now - oldest) / _BUCKETS, 1e-6)

        def bucket(status: os.stat_result) -> int:
            return min(_BUCKETS - 1, max(0, int((status.st_mtime - oldest) / width)))

        sizes, counts = [0] * _BUCKETS, [0] * _BUCKETS
        for _, status in entries(self._root, self._stopping):
            sizes[bucket(status)] += status.st_size
            counts[bucket(status)] += 1
        last, gone_bytes, gone = -1, 0, 0
        while last + 1 < _BUCKETS and (gone_bytes < spare_bytes or gone < spare_entries):
            last += 1
            gone_bytes, gone = gone_bytes + sizes[last], gone + counts[last]
        removed_bytes = removed = 0
        for file, status in entries(self._root, self._stopping):
            if removed_bytes >= spare_bytes and removed >= spare_entries:
                break
            if bucket(status) <= last and remove(file):
                removed_bytes, removed = removed_bytes + status.st_size, removed + 1
        return removed_bytes, removed
