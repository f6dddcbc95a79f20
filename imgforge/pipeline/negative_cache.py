"""The negative cache: recent failures of sources, so that a failing origin is not asked again at once."""

from __future__ import annotations

import math
from collections.abc import Callable

from imgforge.errors import ImgforgeError

__all__ = ["NegativeCache"]

# Clients choose the sources: a bound on the memory that failures take.
_CAPACITY = 1000


class NegativeCache:
    """Remembers the last failure of each source for *ttl* seconds; 0 remembers nothing."""

    def __init__(self, clock: Callable[[], float], ttl: float) -> None:
        self._clock = clock
        self._ttl = ttl
        self._failures: dict[str, tuple[float, type[ImgforgeError], str, str]] = {}  # the oldest first

    def remember(self, source: str, error: ImgforgeError) -> None:
        """Store *error* as the failure of *source* now."""
        if self._ttl:
            self._failures.pop(source, None)
            self._failures[source] = self._clock(), type(error), error.message, error.cause
            if len(self._failures) > _CAPACITY:
                del self._failures[next(iter(self._failures))]

    def recall(self, source: str, since: float = -math.inf) -> ImgforgeError | None:
        """A copy of the failure of *source*, if it is recent, and later than *since*, when *source* was last purged.

        A failure from the future, of a clock that was put back since, is forgotten.
        """
        failed_at, kind, message, cause = self._failures.get(source, (0.0, ImgforgeError, "", ""))
        if not message:
            return None
        if failed_at <= since or not 0 <= self._clock() - failed_at < self._ttl:
            self.forget(source)
            return None
        return kind(message).caused_by(cause)

    def clear(self) -> None:
        """Forget all failures."""
        self._failures.clear()

    def forget(self, source: str) -> None:
        """Forget the failure of *source*, which can be fetched again."""
        self._failures.pop(source, None)
