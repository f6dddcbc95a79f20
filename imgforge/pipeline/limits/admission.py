"""How many requests may be under way, and what happens to the rest: 429 at once instead of a growing queue.

Those that wait for an origin and those that wait for an image thread are counted apart, the first by host: an origin
that is silent uses up its own places, and all other sources are served as if it were not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from imgforge.errors import Overloaded

__all__ = ["Admission"]


class Admission:
    """Counts the requests that are being fetched, and those that wait for a thread or are rendered.

    *limit* is the number of render threads, *queue* how many more requests may wait for one, and for each host; a
    queue of 0 is unlimited (as in imgproxy). *refused* is told why each time. Hits never come here.
    """

    def __init__(self, limit: int, queue: int, refused: Callable[[str], None] = lambda _reason: None) -> None:
        self._capacity = limit + queue if queue else None
        self._refused = refused
        self._fetching: Counter[str] = Counter()
        self.rendering = 0

    @contextmanager
    def fetch(self, source: str) -> Iterator[None]:
        """A place among those that want something of *source*'s host; `Overloaded` where no more may.

        Nothing is fetched either for a queue that has no place.
        """
        host = self.check(source)
        self._fetching[host] += 1
        try:
            yield
        finally:
            self._fetching[host] -= 1
            if not self._fetching[host]:
                del self._fetching[host]

    def check(self, source: str) -> str:
        """*source*'s host; `Overloaded` where nothing more may be wanted of it now."""
        self._check(self.rendering, "queue", "too many requests in the queue")
        host = _host(source)
        self._check(self._fetching[host], "origin", "too many requests wait for the source's host")
        return host

    @contextmanager
    def render(self) -> Iterator[None]:
        """A place on a thread or in the queue for one; `Overloaded` where there is none."""
        self._check(self.rendering, "queue", "too many requests in the queue")
        self.rendering += 1
        try:
            yield
        finally:
            self.rendering -= 1

    @property
    def fetching(self) -> int:
        """How many wait for an origin."""
        return self._fetching.total()

    def _check(self, taken: int, reason: str, message: str) -> None:
        if self._capacity is not None and taken >= self._capacity:
            self._refused(reason)
            raise Overloaded(message)


def _host(source: str) -> str:
    """Scheme, host and port, as far as *source* has them; whatever it is, it is only counted."""
    try:
        parts = urlsplit(source)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"
