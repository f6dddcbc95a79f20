"""The journal of purges of all processes that share a directory: one file, appended and followed, a line of JSON each.

A process learns of new lines from the file's length. Appending takes a lock, so that the lines of several hosts do not
mix. Purges that can cover nothing any more are taken out by writing a new file in place of the old one; the first line,
a random word, tells the two files apart.
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
from imgforge.model import Purge

__all__ = ["JOURNAL_NAME", "Journal"]

JOURNAL_NAME = "purges"
_FIRST_LINE = 33  # bytes, with its end
# A longer file is not ours: a purge takes some hundred bytes, and is kept for minutes.
_LONGEST = 256 << 20

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Purge).decode


class Journal:
    """The file in *root*, and how far it has been read. All methods do file work; OSError where the medium refuses."""

    def __init__(self, root: str) -> None:
        self._path = Path(root, JOURNAL_NAME)
        self._first_line = b""
        self._position = 0

    def append(self, purge: Purge) -> None:
        """Add *purge*; it is on the medium when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked() as file:
            end = os.lseek(file, 0, os.SEEK_END)
            # A crash or a full disk may have left half a line.
            torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
            start = b"\n" if torn else b"" if end else _random_line()
            _write(file, start + _encode(purge) + b"\n")
            os.fsync(file)

    def read_new(self) -> tuple[bool, list[Purge]]:
        """The purges added since the last call; the bool is True where they replace all that were read before."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            replaced, self._first_line, self._position = bool(self._first_line), b"", 0
            return replaced, []
        try:
            first_line, size = os.pread(file, _FIRST_LINE, 0), min(os.fstat(file).st_size, _LONGEST)
            replaced = first_line != self._first_line or size < self._position
            if replaced:
                self._first_line, self._position = first_line, 0
            if size == self._position:
                return replaced, []
            text = os.pread(file, size - self._position, self._position)
        finally:
            os.close(file)
        whole_lines = text[: text.rfind(b"\n") + 1]
        self._position += len(whole_lines)
        return replaced, list(_purges(whole_lines))

    def compact(self, needed: Callable[[Purge], bool]) -> None:
        """Keep only the purges that are *needed*."""
        if not self._path.exists():
            return
        with self._locked() as file:
            text = os.pread(file, min(os.fstat(file).st_size, _LONGEST), 0)
            purges = list(_purges(text))
            kept = [purge for purge in purges if needed(purge)]
            if len(kept) == len(purges):
                return
            with replacing(self._path) as replacement:
                replacement.write(_random_line() + b"".join(_encode(purge) + b"\n" for purge in kept))
                replacement.flush()
                os.fsync(replacement.fileno())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open and locked, and not replaced by another one meanwhile."""
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


def _random_line() -> bytes:
    return os.urandom(16).hex().encode("ascii") + b"\n"


def _purges(text: bytes) -> Iterator[Purge]:
    """The purges among the lines; other lines, such as the first one or half a line, are skipped."""
    now = time.time()
    for line in text.split(b"\n"):
        try:
            purge = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        yield purge.not_after(now)
