"""How many requests are sent to an origin at the same time; more of them wait for their turn.

A slow or silent origin is then not flooded with connections, and the process has descriptors left for the others. The
wait counts as time of the fetch.

An origin that throttles (429, 503 SlowDown) gets half as many requests at once, and with each response a little more
again: additive increase and multiplicative decrease, as TCP shares a link.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from imgforge.concurrency import ConcurrencyLimit, ConcurrencyLimits
from imgforge.sources.recent_dict import RecentDict

__all__ = ["ConnectionLimit"]

_MOST_THROTTLED = 1000  # origins that are kept; beyond, the one that throttled longest ago gets all requests again
_UNLIMITED = 1024  # requests at once, at which an origin without a limit no longer counts as throttled


@dataclass(slots=True)
class _Throttled:
    """How many requests an origin gets at once that throttles, and since when."""

    window: float
    decreased_at: float


class ConnectionLimit:
    """At most *maximum* requests to each origin (scheme, host and port, or bucket) at once; 0 is any number.

    *name* says which requests: images or streams.
    """

    def __init__(self, clock: IReactorTime, name: str, maximum: int) -> None:
        self._clock = clock
        self._maximum = maximum
        self._throttled: RecentDict[str, _Throttled] = RecentDict(
            _MOST_THROTTLED, lambda forgotten: self._limits.resize(forgotten, maximum)
        )
        self._limits: ConcurrencyLimits[str] = ConcurrencyLimits(
            lambda origin: ConcurrencyLimit(name, self.maximum(origin))
        )

    async def acquire(self, origin: str, held: ExitStack) -> None:
        """Wait for a turn with *origin*, which lasts until *held* is closed."""
        await self._limits.acquire(origin)
        held.callback(self._limits.release, origin)

    def maximum(self, origin: str) -> int:
        """How many requests *origin* gets at once now; 0 is any number."""
        throttled = self._throttled.get(origin)
        return self._maximum if throttled is None else int(throttled.window)

    def throttled(self, origin: str, began: float) -> None:
        """*origin* asks for fewer requests, in its response to one that *began* at that second of the clock.

        Requests that were under way together halve the window once: they all were sent at the old rate.
        """
        known = self._throttled.get(origin)
        if known is not None and began < known.decreased_at:
            return
        active = max(1, self._limits.active_under(origin))
        window = max(1.0, min(active, known.window if known is not None else active) / 2)
        self._throttled[origin] = _Throttled(window, self._clock.seconds())
        self._limits.resize(origin, int(window))

    def answered(self, origin: str) -> None:
        """*origin* has answered, without throttling."""
        known = self._throttled.get(origin)
        if known is None:
            return
        known.window += 1 / known.window
        if known.window >= (self._maximum or _UNLIMITED):
            del self._throttled[origin]
        self._limits.resize(origin, self.maximum(origin))
