"""Leases: which process or host makes which entry, among all that share a directory of entries.

One file in the directory holds all leases. A lease is a write lock on one byte of it (an open file description lock,
see fcntl(2)), at an offset that follows from the key: nothing is created or removed, and the kernel releases the lock
of a process that dies. Over NFS the same locks go to the server; on a medium without locks nothing is coalesced.

The file's bytes are a table of outcomes: how the last work that left no entry ended, for the processes that waited.

    offset  size        one slot of the table, at (hash of key) mod its length
         0    32        key
        32     4        length of the text
        36    16        BLAKE2b of key and text
        52              text
"""

from __future__ import annotations

import fcntl
import os
import struct
from hashlib import blake2b
from pathlib import Path
from threading import Lock

__all__ = ["Lease", "LeaseFile", "outcome_text"]

_NAME = "leases"
_SLOTS = 1024
_SLOT = 512
_OUTCOME = struct.Struct(">32sI16s")
_LONGEST_TEXT = _SLOT - _OUTCOME.size
# Two keys must not have the same offset: 62 bits of the key are as good as all of them.
_OFFSET_BITS = 62


def _flock(kind: int, offset: int) -> bytes:
    """`struct flock` of the one byte at *offset*."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)


class LeaseFile:
    """The file in *root*. All methods do file work and belong on a thread; OSError where the medium refuses."""

    def __init__(self, root: str) -> None:
        self._path = Path(root, _NAME)
        self._opening = Lock()
        self._descriptor = -1

    def take(self, offset: int) -> bool:
        """Lock the byte at *offset*; False where another process, or thread, has it locked."""
        file = self._open()
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, offset))
        except (BlockingIOError, PermissionError):  # fcntl(2): EAGAIN or EACCES
            return False
        return True

    def release(self, offset: int) -> None:
        """Unlock the byte at *offset*."""
        fcntl.fcntl(self._open(), fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, offset))

    def outcome(self, key: bytes) -> bytes:
        """The bytes of the slot of *key*; other bytes later mean that work on the key has ended since."""
        return os.pread(self._open(), _SLOT, _position(key))

    def write_outcome(self, key: bytes, text: bytes) -> None:
        """Write *text* to the slot of *key*; a long text is truncated."""
        # The random part makes equal outcomes differ.
        text = os.urandom(8) + text[: _LONGEST_TEXT - 8]
        slot = _OUTCOME.pack(key, len(text), _digest(key, text)) + text
        os.pwrite(self._open(), slot, _position(key))

    def close(self) -> None:
        """Release all leases."""
        with self._opening:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        with self._opening:
            # If the directory is removed under a running server, the file is created anew. The old descriptor stays
            # open, for another thread may be about to use its number.
            if self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0:
                self._descriptor = -1
            if self._descriptor < 0:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                self._descriptor = os.open(self._path, flags, 0o600)
            return self._descriptor


class Lease:
    """The lease of *key*: tried again and again on threads, and ended at any moment in the reactor's thread."""

    def __init__(self, file: LeaseFile, key: bytes) -> None:
        self._file = file
        self._offset = int.from_bytes(key[:8], "big") >> (64 - _OFFSET_BITS)
        self._changing = Lock()
        self._held = self._ended = False

    def take(self) -> bool:
        """Try to take the lease; True if this process has it now. On a thread."""
        taken = self._file.take(self._offset)
        with self._changing:
            self._held = taken and not self._ended
            too_late = taken and self._ended
        if too_late:
            self._file.release(self._offset)
        return self._held

    def end(self) -> bool:
        """Take it no more; True if `release` must be called. Does not wait for a thread."""
        with self._changing:
            self._ended, held, self._held = True, self._held, False
        return held

    def release(self) -> None:
        """Let others take it. On a thread, after `end`."""
        self._file.release(self._offset)


def outcome_text(slot: bytes, key: bytes) -> bytes | None:
    """The text of `LeaseFile.write_outcome` in *slot*; None where it is of another key than *key*, or damaged."""
    if len(slot) < _OUTCOME.size:
        return None
    owner, length, digest = _OUTCOME.unpack_from(slot)
    text = slot[_OUTCOME.size : _OUTCOME.size + length]
    if owner != key or len(text) != length or length < 8 or digest != _digest(key, text):
        return None
    return text[8:]


def _position(key: bytes) -> int:
    return int.from_bytes(key[-4:], "big") % _SLOTS * _SLOT


def _digest(key: bytes, text: bytes) -> bytes:
    return blake2b(key + text, digest_size=16).digest()
