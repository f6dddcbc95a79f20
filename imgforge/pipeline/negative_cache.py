"""What origins failed with a moment ago, so that they are not asked again by everybody at once."""

from __future__ import annotations

import math
from collections.abc import Callable

from imgforge.errors import ImgforgeError

__all__ = ["NegativeCache"]

# Sources are strangers' words: more of them are not remembered.
_MOST = 1000


class NegativeCache:
    """Remembers the last failure of each source for *seconds*; 0 remembers nothing."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._table: dict[str, tuple[float, type[ImgforgeError], str, str]] = {}  # the oldest first

    def remember(self, source: str, error: ImgforgeError) -> None:
        """*source* failed just now."""
        if self._seconds:
            self._table.pop(source, None)
            self._table[source] = self._clock(), type(error), error.message, error.cause
            if len(self._table) > _MOST:
                del self._table[next(iter(self._table))]

    def recall(self, source: str, since: float = -math.inf) -> ImgforgeError | None:
        """The failure, made anew, if it is recent, and later than *since*, when *source* was last purged.

        Of a clock that has been put back nothing is believed.
        """
        at, kind, message, cause = self._table.get(source, (0.0, ImgforgeError, "", ""))
        if not message:
            return None
        if at <= since or not 0 <= self._clock() - at < self._seconds:
            self.forget(source)
            return None
        return kind(message).caused_by(cause)

    def clear(self) -> None:
        """Remember nothing of what was."""
        self._table.clear()

    def forget(self, source: str) -> None:
        """*source* is well again."""
        self._table.pop(source, None)
