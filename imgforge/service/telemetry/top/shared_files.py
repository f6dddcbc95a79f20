"""The minutes of all processes of a server, in files of the directory that they share for their metrics.

A process writes a file for each minute, named after its process id and the minute's place in a ring, so that there are
six at most. Files are JSON of a known form, read up to a bound; a file of another form is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from imgforge.service.telemetry.top.top_tables import WINDOW, Minute

__all__ = ["SharedMinutes"]

_PREFIX = "top."
_NEW = ".new"
_LONGEST = 8 * 1024 * 1024  # bytes; 500 names of 500 characters in each of 16 rankings are less
_MOST_FILES = 10_000
_RING = WINDOW + 1
_decode = msgspec.json.Decoder(Minute).decode


class SharedMinutes:
    """The files in *directory* for the process *pid*. The methods block."""

    def __init__(self, directory: str, pid: int) -> None:
        self._directory = directory
        self._pid = str(pid)

    def write(self, minute: int, document: bytes) -> None:
        """Replaces the file of *minute* by *document*, in one step; a full disk costs the file."""
        path = Path(self._directory, f"{_PREFIX}{self._pid}.{minute % _RING}")
        temporary = path.with_suffix(f"{path.suffix}{_NEW}")
        with suppress(OSError):
            temporary.write_bytes(document)
            os.replace(temporary, path)

    def read_others(self, least: int) -> Iterator[tuple[str, Minute]]:
        """The other processes' minutes from the minute *least* on, each with the id of its process."""
        for path in self._files():
            pid = path.name.split(".")[1]
            if pid != self._pid and path.suffix != _NEW:
                with suppress(OSError, ValueError, RecursionError):  # it is gone, or no JSON, or of another form
                    one = _decode(_content(path))
                    if one.minute >= least:
                        yield pid, one

    def remove_old(self, least: float) -> None:
        """Removes the files that were last written before *least*, in seconds since the epoch: of ended processes."""
        for path in self._files():
            with suppress(OSError):
                if path.lstat().st_mtime < least:
                    path.unlink()

    def _files(self) -> list[Path]:
        with suppress(OSError):
            names = sorted(name for name in os.listdir(self._directory) if name.startswith(_PREFIX))
            return [Path(self._directory, name) for name in names[:_MOST_FILES]]
        return []


def _content(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("the file is too long")
    return content
