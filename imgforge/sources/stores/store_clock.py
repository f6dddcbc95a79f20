"""The time that requests are signed with: this machine's, until a store refuses it and says what time it has."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from imgforge.model import seconds_of_http_date
from imgforge.sources.http import Refusal

__all__ = ["StoreClock"]

_LEAST_SKEW = 60.0  # seconds; a smaller difference is not why a store refuses: they allow 15 minutes
_EARLIEST, _LATEST = 1e9, 4e9  # seconds since the epoch, 2001 and 2096; any other time is none that a store has


class StoreClock:
    """The clock of the store of `scheme://` sources; *now* gives the seconds since the epoch on this machine."""

    log = Logger()

    def __init__(self, scheme: str, now: Callable[[], float]) -> None:
        self._scheme = scheme
        self._now = now
        self._skew = 0.0  # seconds that the store's clock is ahead

    def seconds(self) -> float:
        """The store's time, in seconds since the epoch."""
        return self._now() + self._skew

    def correct(self, refusal: Refusal, sent: float) -> bool:
        """Whether the refused request, signed with the time *sent*, was early or late by the store's Date header.

        The store's time is followed from then on.
        """
        stores = seconds_of_http_date(refusal.headers.get("date", ""))
        if stores is None or not _EARLIEST < stores < _LATEST or abs(stores - sent) < _LEAST_SKEW:
            return False
        skew = stores - self._now()
        if abs(skew - self._skew) >= _LEAST_SKEW:
            self._skew = skew
            self.log.warn(
                "{scheme}: the clock of this machine is off by {skew:.0f} s from the store's, whose time is used to "
                "sign requests: synchronise it",
                scheme=self._scheme,
                skew=-skew,
            )
        return True
