"""Coalescing: callers that ask for work under the same key while it is under way share its one result."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

__all__ = ["Coalescer"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(eq=False)
class _SharedWork(Generic[T]):
    """Work under way, and a Deferred for each caller that waits for it, in the order in which they called."""

    result: Deferred[T] | None = None
    waiters: list[Deferred[T]] = field(default_factory=list)


class Coalescer(Generic[K, T]):
    """Starts the work of equal calls once.

    The work goes on when a caller cancels its Deferred, and is cancelled with the last one. A failure reaches every
    caller. The length is the number of works under way.
    """

    def __init__(self) -> None:
        self._under_way: dict[K, _SharedWork[T]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, key: K) -> bool:
        return key in self._under_way

    def do(self, key: K, start: Callable[[], Deferred[T]]) -> Deferred[T]:
        """The result of *start*, which is called only if no work is under way for *key*."""
        shared = self._under_way.get(key)
        if shared is not None:
            return self._add_waiter(key, shared)
        shared = self._under_way[key] = _SharedWork()
        waiter = self._add_waiter(key, shared)
        shared.result = maybeDeferred(start)
        shared.result.addBoth(self._finish, key, shared)
        return waiter

    def _add_waiter(self, key: K, shared: _SharedWork[T]) -> Deferred[T]:
        waiter: Deferred[T] = Deferred(lambda waiter: self._remove_waiter(waiter, key, shared))
        shared.waiters.append(waiter)
        return waiter

    def _remove_waiter(self, waiter: Deferred[T], key: K, shared: _SharedWork[T]) -> None:
        if waiter not in shared.waiters:  # the outcome is on its way, and a caller that had it cancels this one
            return
        shared.waiters.remove(waiter)
        if not shared.waiters and shared.result is not None:
            # Forgotten first: a caller that comes while the cancelled work ends starts afresh.
            self._forget(key, shared)
            shared.result.cancel()

    def _finish(self, outcome: T | Failure, key: K, shared: _SharedWork[T]) -> None:
        self._forget(key, shared)
        waiters, shared.waiters = shared.waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(outcome)  # a Failure starts the errback chain

    def _forget(self, key: K, shared: _SharedWork[T]) -> None:
        if self._under_way.get(key) is shared:
            del self._under_way[key]
