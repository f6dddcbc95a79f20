"""An open file on a medium that may stop answering: threads read and close it, so that the reactor never blocks."""

from __future__ import annotations

import os
from os import pread
from threading import Lock

from twisted.internet.defer import Deferred

from imgforge.concurrency import FileThreads

__all__ = ["OpenFile", "read_at"]


class OpenFile:
    """The open file *descriptor*, with its *status* and *content_type*; *threads* read and close it."""

    def __init__(self, threads: FileThreads, descriptor: int, status: os.stat_result, content_type: str) -> None:
        self._threads = threads
        self._descriptor = descriptor
        self._lock = Lock()  # guards the two flags; never held during a file operation
        self._reading = self._closed = False
        self.status = status
        self.content_type = content_type
        self.body: bytes | None = None  # all of it, where `read_whole` has read it

    def read_whole(self) -> None:
        """Read it up to its size and one byte more, and close it. On the thread that has opened it."""
        self._closed = True
        try:
            self.body = read_at(self._descriptor, 0, self.status.st_size + 1)
        finally:
            os.close(self._descriptor)

    def read(self, start: int, size: int) -> Deferred[bytes]:
        """Up to *size* bytes from *start* on, fewer at the end only; one read at a time. OSError or `Stalled`."""
        return self._threads.run_with_timeout(lambda: self._read(start, size))

    def close(self) -> None:
        """Close the file, at once or at the end of the read under way; returns without waiting."""
        with self._lock:
            if self._closed:
                return
            self._closed, reading = True, self._reading
        if not reading:
            self._threads.run_even_if_stalled(lambda: os.close(self._descriptor)).addErrback(lambda _: None)

    def _read(self, start: int, size: int) -> bytes:
        with self._lock:
            if self._closed:
                raise OSError("the file is closed")
            self._reading = True
        try:
            return read_at(self._descriptor, start, size)
        finally:
            if self._end_read():  # it was closed meanwhile: the descriptor is ours to close
                os.close(self._descriptor)

    def _end_read(self) -> bool:
        """Whether `close` was called during the read."""
        with self._lock:
            self._reading = False
            return self._closed


def read_at(descriptor: int, start: int, size: int) -> bytes:
    """Up to *size* bytes of *descriptor* from *start* on, fewer at the end only. On a thread."""
    parts: list[bytes] = []
    while size > 0 and (part := pread(descriptor, size, start)):
        parts.append(part)
        start, size = start + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
