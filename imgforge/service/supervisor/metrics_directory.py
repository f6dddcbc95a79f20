"""The directory in which the processes of a server share the values of their metrics while it runs.

It is in memory where there is room, since its files are mapped, and a full disk would kill the processes that write to
them (SIGBUS). It is locked while the server lives: a later start can tell the directory of a killed server from that of
a living one, even one in another container, whose process ids mean nothing here.
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
_MEMORY = "/dev/shm"  # noqa: S108  # a private directory is made in it
_ROOM = 16 << 20  # bytes; each process takes some 200 kB


class MetricsDirectory:
    """A new, locked directory; *owner* is the user id of the processes, if it differs from this one's."""

    def __init__(self, owner: int | None = None) -> None:
        parent = next(_places())
        _remove_stale(parent)
        self.path, self._lock = _locked(parent)
        if owner is not None:
            os.chown(self.path, owner, -1)

    def remove(self) -> None:
        """Remove the directory and its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _places() -> Iterator[str]:
    """Possible parents, the best first: systemd's runtime directory, memory, the directory of temporary files."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    for place in filter(None, (runtime, _MEMORY)):
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
        # Another start has removed it as stale, in the moment before it was locked.


def _lock(path: str) -> int | None:
    """A descriptor that holds the lock of *path*; None for another user's directory. Links are not followed."""
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
    """Remove the directories of killed servers."""
    for path in Path(parent).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = _lock(str(path))
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
