"""How many requests an origin is asked at the same time: what comes beyond waits for its turn.

One that is slow, or silent, is then not flooded with connections, and our descriptors last for the others. Who waits
does so within the time for its original.
"""

from __future__ import annotations

from contextlib import ExitStack

from twisted.internet.defer import DeferredSemaphore

__all__ = ["Slots"]


class Slots:
    """At most *most* for each origin, 0 is as many as come; origins are named by scheme, host and port."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._origins: dict[str, DeferredSemaphore] = {}  # those that are being asked

    async def take(self, origin: str, held: ExitStack) -> None:
        """Wait for a turn with *origin*, which lasts until *held* is closed."""
        if not self._most:
            return
        semaphore = self._origins.setdefault(origin, DeferredSemaphore(self._most))
        await semaphore.acquire()
        held.callback(self._give_back, origin, semaphore)

    def _give_back(self, origin: str, semaphore: DeferredSemaphore) -> None:
        semaphore.release()
        if semaphore.tokens == self._most:  # nobody has one, so that nobody waits either
            del self._origins[origin]
