"""The purges of all processes that share a directory: one file, a line of JSON for each, appended and followed.

What is appended is seen by whoever looks at the file's length next. Appending takes a lock, so that the lines of
several hosts do not mix. Purges of which nothing can be left are taken out by writing a new file in its place; the
first line, a random word, tells the one from the other.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from imgforge.cache.atomic_file import replacing
from imgforge.cache.purge.purges import Purge

__all__ = ["JOURNAL_NAME", "Journal"]

JOURNAL_NAME = "purges"
_FIRST_LINE = 33  # bytes, with its end
# A file beyond this was not written by us: each purge is some hundred bytes, and kept for minutes.
_LONGEST = 256 << 20

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Purge).decode


class Journal:
    """The file in *root* and how far it has been read. All methods do file work; OSError where the medium refuses."""

    def __init__(self, root: str) -> None:
        self._path = Path(root, JOURNAL_NAME)
        self._name = b""
        self._read = 0

    def append(self, purge: Purge) -> None:
        """Add *purge*; it is on the medium when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked() as file:
            end = os.lseek(file, 0, os.SEEK_END)
            # After a crash, or a full disk, half a line may stand there.
            torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
            start = b"\n" if torn else b"" if end else _name_line()
            _write(file, start + _encode(purge) + b"\n")
            os.fsync(file)

    def news(self) -> tuple[bool, list[Purge]]:
        """What has been added since the last call; True where it replaces all that was read before."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            another, self._name, self._read = bool(self._name), b"", 0
            return another, []
        try:
            name, size = os.pread(file, _FIRST_LINE, 0), min(os.fstat(file).st_size, _LONGEST)
            another = name != self._name or size < self._read
            if another:
                self._name, self._read = name, 0
            if size == self._read:
                return another, []
            text = os.pread(file, size - self._read, self._read)
        finally:
            os.close(file)
        whole = text.rpartition(b"\n")[0] + b"\n" if b"\n" in text else b""
        self._read += len(whole)
        return another, list(_purges(whole))

    def compact(self, needed: Callable[[Purge], bool]) -> None:
        """Keep those purges only that are *needed*."""
        if not self._path.exists():
            return
        with self._locked() as file:
            text = os.pread(file, min(os.fstat(file).st_size, _LONGEST), 0)
            purges = list(_purges(text))
            kept = [purge for purge in purges if needed(purge)]
            if len(kept) == len(purges):
                return
            with replacing(self._path) as replacement:
                replacement.write(_name_line() + b"".join(_encode(purge) + b"\n" for purge in kept))
                replacement.flush()
                os.fsync(replacement.fileno())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and locked, and still the one that stands under its name."""
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_ino == _inode(self._path):
                    yield file
                    return
            finally:
                os.close(file)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _name_line() -> bytes:
    return os.urandom(16).hex().encode("ascii") + b"\n"


def _purges(text: bytes) -> Iterator[Purge]:
    """The purges among the lines; what is none, such as the first line or half of one, is passed over."""
    latest = time.time()
    for line in text.split(b"\n"):
        try:
            purge = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        # One from the future, by a clock that has been put back since, must not cover what is still to be made.
        yield Purge(min(purge.at, latest), purge.kind, purge.value)
