"""The bytes of pixels that threads work on at once; a thread that needs more waits for its turn.

libvips streams most pictures and holds only some of their lines. But it holds the whole picture where the file is
progressive, and where the picture is rotated, trimmed, cropped smartly, or encoded as WebP or AVIF. Nothing tells
beforehand which: so each picture counts as a whole, both decoded and as a result. A picture that needs more than the
whole budget is worked on alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from imgforge.processing.resources.cancellation import Cancellation

__all__ = ["PixelBudget"]


class PixelBudget:
    """*total* bytes for the pixels that threads work on; 0 is no limit. Threads are served in order of arrival."""

    def __init__(self, total: int = 0) -> None:
        self._total = total
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._held = 0

    @property
    def waiting(self) -> int:
        """The number of threads that wait."""
        return len(self._queue)

    @contextmanager
    def reserve(self, size: int, cancellation: Cancellation) -> Iterator[None]:
        """Reserve *size* bytes until the end of the block; `RequestTimeout` where *cancellation* ends the wait.

        Nested blocks of several threads could wait for each other without end: a thread reserves once.
        """
        if self._total:
            self._acquire(size, cancellation)
        try:
            yield
        finally:
            if self._total:
                with self._changed:
                    self._held -= size
                    self._changed.notify_all()

    def _acquire(self, size: int, cancellation: Cancellation) -> None:
        with self._changed:
            if not self._queue and self._fits(size):
                self._held += size
                return
        place = object()
        cancellation.when_cancelled(self._wake)
        with self._changed:
            self._queue.append(place)
            try:
                self._changed.wait_for(lambda: cancellation.cancelled or (self._queue[0] is place and self._fits(size)))
                cancellation.check()
                self._held += size
            finally:
                self._queue.remove(place)
                self._changed.notify_all()  # another thread is the first now

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= self._total

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
