"""How far a store's clock is ahead of this machine's, by the Date headers of its answers.

An answer's Date is a time before the answer, in whole seconds, and not much before the request: servers take it from a
clock that they read about once a second. So each answer bounds the difference from both sides.
"""

from __future__ import annotations

import math

from imgforge.model import seconds_of_http_date

__all__ = ["StoreSkew"]

_EARLIEST, _LATEST = 1e9, 4e9  # seconds since the epoch, 2001 and 2096; any other time is none that a store has
_LONGEST_LAG = (
    2.5  # seconds that a Date may be before the request: a whole second is cut off, and it may be kept for one
)
_VALID = 600.0  # seconds; older bounds are forgotten, for clocks drift


class StoreSkew:
    """The bounds, in seconds; all times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._least, self._most = -math.inf, math.inf
        self._since = -math.inf

    def observe(self, date: str, sent: float, received: float) -> None:
        """Learn from the header *date* of the answer to a request, by this machine's clock."""
        stores = seconds_of_http_date(date)
        if stores is None or not _EARLIEST < stores < _LATEST:
            return
        least, most = stores - received, stores + _LONGEST_LAG - sent
        # Bounds that contradict each other are of before and after a clock was set.
        if not 0 <= received - self._since < _VALID or least > self._most or most < self._least:
            self._least, self._most, self._since = -math.inf, math.inf, received
        self._least, self._most = max(self._least, least), min(self._most, most)

    @property
    def ahead(self) -> float:
        """How many seconds the store's clock is ahead; 0 where both may agree."""
        if self._least <= 0 <= self._most:
            return 0.0
        return (self._least + self._most) / 2
