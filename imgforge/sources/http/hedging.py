"""Hedged requests: where the first byte of a response is late, a second request is sent, and the first answer counts.

A store answers some requests much later than most (a slow shard, a lost packet). The second request comes after the
time within which 95 % of the origin's responses began, so that it is rare; a budget bounds it where all are slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from imgforge.sources.http.origin_budget import OriginBudget
from imgforge.sources.recent_dict import RecentDict

__all__ = ["Hedging"]

T = TypeVar("T")

_LEAST_DELAY = 0.5  # seconds
_SHARE = 0.05  # of the requests to an origin
_REMEMBERED = 100  # times to the first byte, of each origin
_LEAST_REMEMBERED = 20  # below, there is no 95th percentile
_MOST_ORIGINS = 1000  # that are kept; beyond, the origin that answered longest ago is forgotten


class Hedging:
    """Sends second requests to origins whose first bytes are late."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._budget = OriginBudget(_SHARE, 0)
        self._times: RecentDict[str, deque[float]] = RecentDict(_MOST_ORIGINS)

    def delay(self, origin: str) -> float | None:
        """Seconds after which a second request is sent; None while too little is known of *origin*."""
        times = self._times.get(origin)
        if times is None or len(times) < _LEAST_REMEMBERED:
            return None
        return max(_LEAST_DELAY, sorted(times)[int(0.95 * len(times))])

    def send(self, origin: str, send: Callable[[bool], Deferred[T]], drop: Callable[[T], None]) -> Deferred[T]:
        """The first response of *send*, called with False and, where it is late, with True for the second request.

        *drop* is called with a response that comes after the first; the request of the other is cancelled.
        """
        self._budget.earn(origin)
        delay, began = self.delay(origin), self._clock.seconds()

        def answered(response: T) -> T:
            self._remember(origin, self._clock.seconds() - began)
            return response

        if delay is None:
            return send(False).addCallback(answered)
        race = _Race(send, drop, lambda: self._budget.spend(origin))
        return race.run(self._clock, delay).addCallback(answered)

    def _remember(self, origin: str, seconds: float) -> None:
        times = self._times[origin] = self._times.get(origin) or deque(maxlen=_REMEMBERED)
        times.append(seconds)


class _Race(Generic[T]):
    """Two requests, of which the first response counts; the failure of one is the race's only if the other failed."""

    def __init__(
        self, send: Callable[[bool], Deferred[T]], drop: Callable[[T], None], allowed: Callable[[], bool]
    ) -> None:
        self._send = send
        self._drop = drop
        self._allowed = allowed
        self._running: list[Deferred[None]] = []
        self._pending = 0
        self._over = False
        self._timer: IDelayedCall | None = None
        self._done: Deferred[T] = Deferred(lambda _: self._stop())

    def run(self, clock: IReactorTime, delay: float) -> Deferred[T]:
        """Send the first request, and the second where there is no response after *delay* seconds."""
        self._start(False)
        if not self._over:
            self._timer = clock.callLater(delay, self._hedge)
        return self._done

    def _hedge(self) -> None:
        self._timer = None
        if self._allowed():
            self._start(True)

    def _start(self, second: bool) -> None:
        self._pending += 1
        self._running.append(self._send(second).addCallbacks(self._answered, self._failed))

    def _answered(self, response: T) -> None:
        self._pending -= 1
        if self._over:
            self._drop(response)
            return
        self._stop()
        self._done.callback(response)

    def _failed(self, failure: Failure) -> None:
        self._pending -= 1
        if not self._over and not self._pending:
            self._stop()
            self._done.errback(failure)

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for running in self._running:  # to cancel one that has ended does nothing
            running.cancel()
