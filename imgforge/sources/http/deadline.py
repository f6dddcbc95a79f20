"""A time limit for an origin, which stands still while the origin has to wait for this server."""

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

_CANCELLED_AGAIN = 1.0  # seconds


class Deadline:
    """A limit of *seconds* for one coroutine; for one use."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = self._left = seconds
        self._work: Deferred[Any] | None = None
        self._call: IDelayedCall | None = None
        self._late = False

    def run(self, work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """The outcome of *work*; past the limit it is cancelled, and the outcome is `OriginTimeout`."""
        self._resume()
        running: Deferred[T] = Deferred.fromCoroutine(work)
        self._work = running
        return running.addBoth(self._ended)

    def check(self) -> None:
        """`OriginTimeout` past the limit."""
        if self._late:
            raise OriginTimeout(f"the origin took longer than {self._seconds:g} seconds")

    def paused_during(self, waiting: Deferred[T]) -> Deferred[T]:
        """*waiting*; until it fires, the limit stands still."""
        if waiting.called:
            return waiting
        self._pause()

        def resume(outcome: U) -> U:
            self._resume()
            return outcome

        return waiting.addBoth(resume)

    def _ended(self, outcome: T | Failure) -> T | Failure:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._work = None  # it keeps its outcome, which may be large, and leads back here
        if isinstance(outcome, Failure):
            self.check()  # however the cancelled work ended
        return outcome

    def _expire(self) -> None:
        self._call = None
        self._late = True
        if self._work is not None:
            # The cancellation may look like a failure of the origin, after which something else is tried.
            self._call = self._clock.callLater(_CANCELLED_AGAIN, self._expire)
            self._work.cancel()

    def _pause(self) -> None:
        if self._call is not None and not self._late:
            self._left = max(0.0, self._call.getTime() - self._clock.seconds())
            self._call.cancel()
            self._call = None

    def _resume(self) -> None:
        if self._call is None and not self._late:
            self._call = self._clock.callLater(self._left, self._expire)
