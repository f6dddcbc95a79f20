"""A time limit for an origin that does not run while the origin has to wait for us."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from imgforge.errors import OriginTimeout

__all__ = ["Deadline"]

T = TypeVar("T")
U = TypeVar("U")


class Deadline:
    """*seconds* for one piece of work; for one use."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = self._left = seconds
        self._work: Deferred[Any] | None = None
        self._call: IDelayedCall | None = None
        self._late = False

    def run(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """The outcome of *work*, which is cancelled past the time; then `OriginTimeout`."""
        self._resume()
        running: Deferred[T] = Deferred.fromCoroutine(work)
        self._work = running
        return running.addBoth(self._ended)

    def apart(self, waiting: Deferred[T]) -> Deferred[T]:
        """*waiting*, whose time does not count."""
        if waiting.called:
            return waiting
        self._pause()

        def go_on(outcome: U) -> U:
            self._resume()
            return outcome

        return waiting.addBoth(go_on)

    def _ended(self, outcome: T | Failure) -> T | Failure:
        self._pause()
        if self._late and isinstance(outcome, Failure):  # whatever cancelling it came to
            raise OriginTimeout(f"the origin took longer than {self._seconds:g} seconds")
        return outcome

    def _expire(self) -> None:
        self._call = None
        self._late = True
        if self._work is not None:
            self._work.cancel()

    def _pause(self) -> None:
        if self._call is not None:
            self._left = max(0.0, self._call.getTime() - self._clock.seconds())
            self._call.cancel()
            self._call = None

    def _resume(self) -> None:
        if self._call is None and not self._late:
            self._call = self._clock.callLater(self._left, self._expire)
