"""The writes of a tier that are under way, by their keys: a lease is released once the entry is there."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

__all__ = ["WritesUnderWay"]

T = TypeVar("T")


class WritesUnderWay:
    """How many writes of each key are under way, and who waits for their end."""

    def __init__(self) -> None:
        self._writes: dict[bytes, int] = {}
        self._waiters: dict[bytes, list[Deferred[None]]] = {}

    def add(self, key: bytes, written: Deferred[None]) -> None:
        """Count a write of *key* until *written* has fired or failed."""
        if written.called:
            return
        self._writes[key] = self._writes.get(key, 0) + 1

        def ended(outcome: T) -> T:
            self._writes[key] -= 1
            if not self._writes[key]:
                del self._writes[key]
                for waiter in self._waiters.pop(key, ()):
                    waiter.callback(None)
            return outcome

        written.addBoth(ended)

    def ended(self, key: bytes) -> Deferred[None]:
        """Fires once no write of *key* is under way."""
        if key not in self._writes:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiters.setdefault(key, []).append(waiter)
        return waiter
