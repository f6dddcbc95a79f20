"""What is in flight, and a Deferred that fires when nothing is any more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

__all__ = ["InFlight"]

T = TypeVar("T")


class InFlight(Collection[T]):
    """The requests that are being answered, or the connections that are open."""

    def __init__(self) -> None:
        self._members: set[T] = set()
        self._waiting: list[Deferred[None]] = []

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[T]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: T) -> None:
        """Counts *member* until it is discarded."""
        self._members.add(member)

    def discard(self, member: T) -> None:
        """Counts *member* no more, if it was counted; after the last one the Deferreds of `when_idle` fire."""
        self._members.discard(member)
        if not self._members:
            self._fire()

    def clear(self) -> None:
        """Counts nothing any more."""
        self._members.clear()
        self._fire()

    def when_idle(self) -> Deferred[None]:
        """Fires when nothing is in flight, at once if nothing is now. It may be cancelled."""
        if not self._members:
            return succeed(None)
        idle: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(idle)
        return idle

    def _fire(self) -> None:
        waiting, self._waiting = self._waiting, []
        for idle in waiting:
            idle.callback(None)
