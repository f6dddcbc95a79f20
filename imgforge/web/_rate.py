"""How many requests a minute may cause work: a token bucket for all clients together."""

from __future__ import annotations

import math
from collections.abc import Callable

from imgforge.errors import Overloaded

__all__ = ["RateLimit"]


class RateLimit:
    """At most *per_minute* requests, evenly or in one burst; 0 is unlimited.

    Who asks must have proved before that it may (signature, token, expiry): strangers cannot use up everybody's minute.
    What a cache answers is free.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._per_second = per_minute / 60
        self._most = max(1.0, per_minute)
        self._clock = clock
        self._tokens = self._most
        self._filled = clock()

    def check(self) -> None:
        """Take a token; `Overloaded`, with the seconds until the next one, where there is none."""
        if not self._per_second:
            return
        now = self._clock()
        # A clock that goes backwards fills nothing.
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._filled) * self._per_second)
        self._filled = now
        if self._tokens < 1:
            wait = math.ceil((1 - self._tokens) / self._per_second)
            raise Overloaded("more requests than this server takes in a minute", retry_after=wait)
        self._tokens -= 1
