"""How many requests are sent to an origin at the same time; more of them wait for their turn.

A slow or silent origin is then not flooded with connections, and the process has descriptors left for the others. The
wait counts as time of the fetch.
"""

from __future__ import annotations

from contextlib import ExitStack

from imgforge.concurrency import ConcurrencyLimit, ConcurrencyLimits

__all__ = ["ConnectionLimit"]


class ConnectionLimit:
    """At most *maximum* requests to each origin (scheme, host and port) at once; 0 is any number.

    *name* says which requests: images or streams.
    """

    def __init__(self, name: str, maximum: int) -> None:
        self._limits: ConcurrencyLimits[str] = ConcurrencyLimits(lambda: ConcurrencyLimit(name, maximum))

    async def acquire(self, origin: str, held: ExitStack) -> None:
        """Wait for a turn with *origin*, which lasts until *held* is closed."""
        await self._limits.acquire(origin)
        held.callback(self._limits.release, origin)
