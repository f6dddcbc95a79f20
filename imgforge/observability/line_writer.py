"""Lines written by a thread, so that a pipe whose reader has stopped, or a slow disk, delays nothing else.

LineThread            a bounded queue of lines, and the thread that writes them
  LineWriter          the access log: what does not fit is dropped, with a warning in the application log
  CountedLines        what does not fit is dropped, and a line in its place says so: `counted_lines`
    LogWriter         the application log on a stream: `log_writer`
    Syslog            in syslog: `syslog`
"""

from __future__ import annotations

import os
import select
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO, TypeVar

from twisted.logger import Logger

__all__ = ["LineThread", "LineWriter", "write_lines"]

T = TypeVar("T")

# What a pipe takes in one piece (PIPE_BUF): lines of several processes into one pipe stay whole.
_PIECE = 4096
_WARN_INTERVAL = 60.0  # seconds between two warnings


class LineThread(ABC):
    """Delivers lines, in order, on a thread called *name* that starts with the first of them.

    About *most* bytes may wait. The thread makes lines from their items. Other methods are for one thread at a time.
    """

    log = Logger()

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: SimpleQueue[tuple[Callable[[Any], str], Sequence[Any], int] | None] = SimpleQueue()
        self._thread: Thread | None = None
        # Two counters with one writer each, rather than one with a lock.
        self._put = 0
        self._done = 0

    def put(self, line: Callable[[T], str], items: Sequence[T], size: int) -> bool:
        """Write `line(item)` for each of *items*, about *size* bytes together; False where too much waits already."""
        if self._put - self._done + size > self._most:
            return False
        self._put += size
        self._queue.put((line, items, size))
        self.start_thread()
        return True

    def start_thread(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def close(self, patience: float = 1.0) -> bool:
        """Deliver the lines that still wait, for *patience* seconds at most; whether all are delivered."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._queue.put(None)
        thread.join(patience)
        return not thread.is_alive()

    @abstractmethod
    def deliver(self, lines: Iterable[str]) -> None:
        """On the thread: write *lines*, which have no line feed at their end yet. Raises `OSError`."""

    @abstractmethod
    def lost(self, items: Sequence[Any]) -> None:
        """On the thread: the lines of *items* could not be written: the disk is full, or the pipe has no reader."""

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            line, items, size = batch
            try:
                self.deliver(line(item) for item in items)
            except OSError:  # a full disk costs the lines, and no response
                self.lost(items)
            except Exception:
                self.log.failure("an unexpected error lost lines of the {name}: please report it", name=self._name)
            self._done += size


class LineWriter(LineThread):
    """The lines of the access log; those beyond *most* bytes are dropped and counted in `dropped`.

    A warning says so once a minute.
    """

    log = Logger()

    def __init__(
        self, stream: TextIO, most: int = 32 * 1024 * 1024, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(most, "access log")
        self._stream = stream
        self._clock = clock
        self.dropped = 0
        self._warned = 0
        self._warned_at = -_WARN_INTERVAL

    def put(self, line: Callable[[T], str], items: Sequence[T], size: int) -> bool:
        """See `LineThread`; lines that do not fit are dropped."""
        if super().put(line, items, size):
            return True
        self.dropped += len(items)
        self._warn()
        return False

    def deliver(self, lines: Iterable[str]) -> None:
        """See `LineThread`."""
        write_lines(self._stream, lines)

    def lost(self, items: Sequence[Any]) -> None:
        """See `LineThread`: a full disk costs them."""

    def _warn(self) -> None:
        now = self._clock()
        if now - self._warned_at >= _WARN_INTERVAL:
            self.log.warn(
                "{count} lines of the access log were dropped: its pipe is not read, or its disk is slow; "
                "check the program that reads it",
                count=self.dropped - self._warned,
            )
            self._warned, self._warned_at = self.dropped, now


def write_lines(stream: TextIO, lines: Iterable[str], patience: float | None = None) -> None:
    """Write *lines* to *stream* on the caller's thread.

    It waits for *patience* seconds for room, without end if None. Raises `OSError`, which `TimeoutError` is too.
    """
    for piece in _pieces(lines):
        _write(stream, piece, patience)


def _write(stream: TextIO, data: bytes, patience: float | None) -> None:
    try:
        # Without the stream's own buffer, which is not for several threads; it is empty between two lines.
        descriptor = stream.fileno()
    except (OSError, AttributeError):
        stream.write(data.decode("utf-8"))
        return
    end = None if patience is None else time.monotonic() + patience
    while data:
        if end is not None and not _takes_more(descriptor, max(0.0, end - time.monotonic())):
            raise TimeoutError
        try:
            data = data[os.write(descriptor, data if end is None else data[:_PIECE]) :]
        except BlockingIOError:
            _takes_more(descriptor, None)


def _takes_more(descriptor: int, patience: float | None) -> bool:
    """Whether *descriptor* has room for `_PIECE` bytes within *patience* seconds."""
    poll = select.poll()  # select.select takes no descriptor above 1023
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(None if patience is None else patience * 1000))


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
