"""Lines written by a thread, so that a pipe whose reader has stopped, or a slow disk, delays nothing else."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO, TypeVar

from twisted.logger import Logger

__all__ = ["LineWriter"]

T = TypeVar("T")

# What a pipe takes in one piece (PIPE_BUF): lines of several processes into one pipe stay whole.
_PIECE = 4096
_WARN_INTERVAL = 60.0  # seconds between two warnings


class LineWriter:
    """Writes lines to *stream*, in order, on a thread that starts with the first of them.

    About *most* bytes may wait; further lines are dropped and counted in `dropped`, and a warning says so once a
    minute. The thread makes lines from their items. All methods are for one other thread, the reactor's.
    """

    log = Logger()

    def __init__(
        self, stream: TextIO, most: int = 32 * 1024 * 1024, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._most = most
        self._clock = clock
        self._queue: SimpleQueue[tuple[Callable[[Any], str], Sequence[Any], int] | None] = SimpleQueue()
        self._thread: Thread | None = None
        # Two counters with one writer each, rather than one with a lock.
        self._put = 0
        self._done = 0
        self.dropped = 0
        self._warned = 0
        self._warned_at = -_WARN_INTERVAL

    def put(self, line: Callable[[T], str], items: Sequence[T], size: int) -> None:
        """Writes `line(item)` for each of *items*, about *size* bytes together."""
        if self._put - self._done + size > self._most:
            self.dropped += len(items)
            self._warn()
            return
        self._put += size
        if self._thread is None:
            self._thread = Thread(target=self._run, name="access log", daemon=True)
            self._thread.start()
        self._queue.put((line, items, size))

    def close(self, patience: float = 1.0) -> None:
        """Writes the lines that still wait, for *patience* seconds at most."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(patience)
            self._thread = None

    def _warn(self) -> None:
        now = self._clock()
        if now - self._warned_at >= _WARN_INTERVAL:
            self.log.warn(
                "{count} lines of the access log were dropped: its pipe is not read, or its disk is slow; "
                "check the program that reads it",
                count=self.dropped - self._warned,
            )
            self._warned, self._warned_at = self.dropped, now

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            line, items, size = batch
            try:
                with suppress(OSError):  # a full disk costs the lines, and no response
                    for piece in _pieces(line(item) for item in items):
                        self._write(piece)
            except Exception:
                self.log.failure("an unexpected error lost lines of the access log: please report it")
            self._done += size

    def _write(self, data: bytes) -> None:
        try:
            # Without the stream's own buffer, which is not for several threads; it is empty between two lines.
            descriptor = self._stream.fileno()
        except (OSError, AttributeError):
            self._stream.write(data.decode("utf-8"))
            return
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                select.select([], [descriptor], [])


def _pieces(lines: Iterable[str]) -> Iterable[bytes]:
    """Whole lines, joined to what a pipe takes in one piece."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if waiting and size + len(data) > _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(data)
        size += len(data)
    if waiting:
        yield b"".join(waiting)
