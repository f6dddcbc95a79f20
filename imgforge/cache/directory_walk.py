"""A way through a directory of entries: there is no index, and no list of files is ever held."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from imgforge.cache.entry_file import ENTRY_NAME, TEMPORARY_NAME

__all__ = ["Found", "Stopped", "entries", "entries_beginning", "never", "our_files", "remove"]

_SHARD = re.compile(r"[0-9a-f]{2}")

Found = tuple["os.DirEntry[str]", os.stat_result]


class Stopped(Exception):
    """The walk was told to end."""


def never() -> bool:
    """Nobody stops the walk."""
    return False


def our_files(root: str, stopping: Callable[[], bool] = never) -> Iterator[Found]:
    """The regular files below *root* that are ours by place and name; symbolic links are not followed.

    *stopping* is asked before each directory; `Stopped` where it says yes.
    """
    for outer in _shards(root):
        for inner in _shards(outer.path):
            if stopping():
                raise Stopped
            yield from _files(inner.path)


def entries(root: str, stopping: Callable[[], bool] = never) -> Iterator[Found]:
    """Those of `our_files` that are entries."""
    return (found for found in our_files(root, stopping) if ENTRY_NAME.fullmatch(found[0].name))


def entries_beginning(root: str, name: str) -> Iterator[Found]:
    """The entries whose names begin with *name*, at least 4 hexadecimal digits: all of them lie in one directory."""
    for found in _files(str(Path(root, name[:2], name[2:4]))):
        if found[0].name.startswith(name) and ENTRY_NAME.fullmatch(found[0].name):
            yield found


def remove(file: os.DirEntry[str]) -> bool:
    """Remove *file*; False where it cannot be, or is gone already."""
    try:
        os.unlink(file.path)
    except OSError:
        return False
    return True


def _files(path: str) -> Iterator[Found]:
    for file in _listing(path):
        if not (ENTRY_NAME.fullmatch(file.name) or TEMPORARY_NAME.fullmatch(file.name)):
            continue
        status = _status(file)
        if status is not None and stat.S_ISREG(status.st_mode):
            yield file, status


def _shards(path: str) -> list[os.DirEntry[str]]:
    return [one for one in _listing(path) if _SHARD.fullmatch(one.name) and one.is_dir(follow_symlinks=False)]


def _listing(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            yield from listing
    except OSError:  # another process removed it, or it cannot be read: it is not counted
        return


def _status(file: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return file.stat(follow_symlinks=False)
    except OSError:  # another process removed it meanwhile
        return None
