"""A directory of what the processes of one server share while it runs: the values of their metrics.

It lies in memory where there is room, since values are mapped from its files, and a full disk would end the processes
that write to them. It is locked for as long as the server lives: by that a later start tells what a killed server has
left from what another one uses, even in another container, whose process ids say nothing here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["MetricsDirectory"]

_PREFIX = "imgforge-metrics."
_MEMORY = "/dev/shm"  # noqa: S108  # a directory of our own is made in it, for us alone
_ROOM = 16 << 20  # bytes; each process takes some 200 kB


class MetricsDirectory:
    """Made and locked; *owner* is the user id that the processes will have, if it is another one."""

    def __init__(self, owner: int | None = None) -> None:
        parent = next(_places())
        _remove_stale(parent)
        self.path, self._lock = _locked(parent)
        if owner is not None:
            os.chown(self.path, owner, -1)

    def remove(self) -> None:
        """Remove it, and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _places() -> Iterator[str]:
    """Where it may be, the best first: what systemd made for us, memory, the directory of temporary files."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    for place in filter(None, (given, _MEMORY)):
        with suppress(OSError):
            room = os.statvfs(place)
            if os.access(place, os.W_OK | os.X_OK) and room.f_bavail * room.f_frsize >= _ROOM:
                yield place
    yield tempfile.gettempdir()


def _locked(parent: str) -> tuple[str, int]:
    """A new directory and the descriptor that holds its lock."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        with suppress(OSError):
            lock = _lock(path)
            if lock is not None and os.path.exists(path):
                return path, lock
        # Another start has taken it for a stale one, in the moment before it was locked.


def _lock(path: str) -> int | None:
    """A descriptor that holds the lock of a directory of ours, or None: others' are not touched, nor links followed."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid == os.getuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return opened
    except OSError:
        """Its server lives."""
    os.close(opened)
    return None


def _remove_stale(parent: str) -> None:
    """Remove what servers have left that were killed."""
    for path in Path(parent).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = _lock(str(path))
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
