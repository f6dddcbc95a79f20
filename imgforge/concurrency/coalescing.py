"""Equal work under way is done once: every caller who asks for the same key shares the one result."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["Coalescer"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(eq=False)
class _Flight(Generic[T]):
    """Work under way and those who wait for it, in the order in which they came."""

    work: Deferred[T] | None = None
    waiters: list[Deferred[T]] = field(default_factory=list)


class Coalescer(Generic[K, T]):
    """Joins equal calls.

    A caller that cancels its Deferred leaves the flight; the work goes on for the others and is cancelled when the
    last one has left. A failure reaches every waiter.
    """

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: K) -> bool:
        return key in self._flights

    def do(self, key: K, start: Callable[[], Deferred[T]]) -> Deferred[T]:
        """The result of *start*, called only if no equal work is under way."""
        flight = self._flights.get(key)
        if flight is not None:
            return self._join(key, flight)
        flight = self._flights[key] = _Flight()
        waiter = self._join(key, flight)
        flight.work = start()
        flight.work.addBoth(self._land, key, flight)
        return waiter

    def _join(self, key: K, flight: _Flight[T]) -> Deferred[T]:
        waiter: Deferred[T] = Deferred(lambda waiter: self._leave(waiter, key, flight))
        flight.waiters.append(waiter)
        return waiter

    def _leave(self, waiter: Deferred[T], key: K, flight: _Flight[T]) -> None:
        flight.waiters.remove(waiter)
        if not flight.waiters and flight.work is not None:
            # Taken out first: a caller who comes while the work winds down starts afresh.
            self._forget(key, flight)
            flight.work.cancel()

    def _land(self, outcome: T | Failure, key: K, flight: _Flight[T]) -> None:
        self._forget(key, flight)
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.callback(outcome)  # a Failure starts the errback chain

    def _forget(self, key: K, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
