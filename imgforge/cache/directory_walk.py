"""Walks through a directory of entries: there is no index, and no list of all files is ever held."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from imgforge.cache.entry_file import ENTRY_NAME, TEMPORARY_NAME

__all__ = ["FoundFile", "WalkStopped", "entries", "entries_beginning", "never_stop", "our_files", "remove"]

_SHARD = re.compile(r"[0-9a-f]{2}")

FoundFile = tuple["os.DirEntry[str]", os.stat_result]


class WalkStopped(Exception):
    """*stopping* returned True during the walk."""


def never_stop() -> bool:
    """Let the walk go on to its end."""
    return False


def our_files(root: str, stopping: Callable[[], bool] = never_stop) -> Iterator[FoundFile]:
    """The regular files below *root* that are the cache's by place and name; symbolic links are not followed.

    *stopping* is called before each directory; raises `WalkStopped` where it returns True.
    """
    for outer in _shards(root):
        for inner in _shards(outer.path):
            if stopping():
                raise WalkStopped
            yield from _files(inner.path)


def entries(root: str, stopping: Callable[[], bool] = never_stop) -> Iterator[FoundFile]:
    """The entries among `our_files`."""
    return (found for found in our_files(root, stopping) if ENTRY_NAME.fullmatch(found[0].name))


def entries_beginning(root: str, name: str) -> Iterator[FoundFile]:
    """The entries whose names begin with *name*, at least 4 hexadecimal digits: all of them are in one directory."""
    for found in _files(str(Path(root, name[:2], name[2:4]))):
        if found[0].name.startswith(name) and ENTRY_NAME.fullmatch(found[0].name):
            yield found


def remove(file: os.DirEntry[str]) -> bool:
    """Remove *file*; False where another process has removed it, or the medium refuses."""
    try:
        os.unlink(file.path)
    except OSError:
        return False
    return True


def _files(path: str) -> Iterator[FoundFile]:
    for file in _listing(path):
        if not (ENTRY_NAME.fullmatch(file.name) or TEMPORARY_NAME.fullmatch(file.name)):
            continue
        status = _status(file)
        if status is not None and stat.S_ISREG(status.st_mode):
            yield file, status


def _shards(path: str) -> list[os.DirEntry[str]]:
    return [file for file in _listing(path) if _SHARD.fullmatch(file.name) and file.is_dir(follow_symlinks=False)]


def _listing(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            yield from listing
    except OSError:  # another process has removed the directory, or it is unreadable: it does not count
        return


def _status(file: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return file.stat(follow_symlinks=False)
    except OSError:  # another process has removed it
        return None
