"""Keeps a directory of entries under its bytes and entries, and free of what crashes left behind.

There is no index: a sweep walks the directories. It holds no list of files, however many there are: a first walk
adds up and, if there is too much, a second one counts the ages into buckets, from which follows the age beyond which
files have to go, and a third one removes them. One process sweeps at a time, by a lock on a file in the directory.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgforge.cache._file import SUFFIX, TEMPORARY

__all__ = ["Sweep", "sweep"]

_LOCK = "janitor.lock"
_ABANDONED_AFTER = 3600.0
_BUCKETS = 4096
# How full the directory is left after an eviction, so that the next entries do not start another one.
_LOW_WATER = 0.95


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found and did; `bytes` and `entries` are what is left."""

    bytes: int = 0
    entries: int = 0
    removed: int = 0


def sweep(root: str, max_bytes: int, max_entries: int, max_age: float = 0.0) -> Sweep | None:
    """Bring *root* under its limits (0 is none; *max_age* in seconds); None where another process is at it."""
    Path(root).mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(Path(root, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        return _sweep(root, max_bytes, max_entries, max_age)
    finally:
        os.close(lock)


def _sweep(root: str, max_bytes: int, max_entries: int, max_age: float) -> Sweep:
    now = time.time()
    total = entries = removed = 0
    oldest = now
    for file in _files(root):
        status = _status(file)
        if status is None:
            continue
        age = now - status.st_mtime
        if file.name.endswith(TEMPORARY):
            if age > _ABANDONED_AFTER:
                _remove(file)
        elif max_age and age > max_age:
            removed += _remove(file)
        else:
            total, entries, oldest = total + status.st_size, entries + 1, min(oldest, status.st_mtime)
    too_much = bool(max_bytes and total > max_bytes) or bool(max_entries and entries > max_entries)
    if too_much:
        spare_bytes = total - int(max_bytes * _LOW_WATER) if max_bytes else 0
        spare_entries = entries - int(max_entries * _LOW_WATER) if max_entries else 0
        gone_bytes, gone = _evict(root, oldest, now, spare_bytes, spare_entries)
        total, entries, removed = total - gone_bytes, entries - gone, removed + gone
    return Sweep(total, entries, removed)


def _evict(root: str, oldest: float, now: float, spare_bytes: int, spare_entries: int) -> tuple[int, int]:
    """Remove the oldest files until both amounts are gone; the bytes and files removed."""
    width = max((now - oldest) / _BUCKETS, 1e-6)

    def bucket(status: os.stat_result) -> int:
        return min(_BUCKETS - 1, max(0, int((status.st_mtime - oldest) / width)))

    sizes, counts = [0] * _BUCKETS, [0] * _BUCKETS
    for file in _files(root):
        status = _status(file)
        if status is not None and file.name.endswith(SUFFIX):
            sizes[bucket(status)] += status.st_size
            counts[bucket(status)] += 1
    last, gone_bytes, gone = -1, 0, 0
    while last + 1 < _BUCKETS and (gone_bytes < spare_bytes or gone < spare_entries):
        last += 1
        gone_bytes, gone = gone_bytes + sizes[last], gone + counts[last]
    removed_bytes = removed = 0
    for file in _files(root):
        if removed_bytes >= spare_bytes and removed >= spare_entries:
            break
        status = _status(file)
        if status is not None and file.name.endswith(SUFFIX) and bucket(status) <= last and _remove(file):
            removed_bytes, removed = removed_bytes + status.st_size, removed + 1
    return removed_bytes, removed


def _files(root: str) -> Iterator[os.DirEntry[str]]:
    """The files that are ours by place and name; symbolic links are not followed."""
    for outer in _directories(root):
        for inner in _directories(outer.path):
            try:
                with os.scandir(inner.path) as listing:
                    yield from (file for file in listing if file.name.endswith((SUFFIX, TEMPORARY)))
            except OSError:
                continue


def _directories(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            return [one for one in listing if len(one.name) == 2 and one.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _status(file: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return file.stat(follow_symlinks=False)
    except OSError:  # another process removed it meanwhile
        return None


def _remove(file: os.DirEntry[str]) -> bool:
    try:
        os.unlink(file.path)
    except OSError:
        return False
    return True
