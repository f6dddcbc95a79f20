"""How many requests may be in work at once, and what happens to the rest: 429 at once instead of a growing queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from imgforge.errors import Overloaded

__all__ = ["Admission"]


class Admission:
    """Counts the requests that are being fetched, wait for a thread or are rendered.

    *limit* is the number of render threads, *queue* how many more requests may be on their way to one; a queue of 0
    is unlimited (as in imgproxy). Hits never come here.
    """

    def __init__(self, limit: int, queue: int) -> None:
        self._capacity = limit + queue if queue else None
        self.admitted = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs; `Overloaded` where there is none."""
        if self._capacity is not None and self.admitted >= self._capacity:
            raise Overloaded("too many requests in the queue")
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1
