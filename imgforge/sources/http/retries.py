"""Sends requests again that failed: with exponential backoff and full jitter, within a budget for each origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge.errors import CircuitOpen, NoCredentials, OriginFailed
from imgforge.sources.http.origin_budget import OriginBudget

__all__ = ["Retries"]

T = TypeVar("T")

_FIRST_DELAY = 0.1  # seconds, at most, before the first retry; each may wait twice as long as the one before
_LONGEST_DELAY = 2.0  # seconds
_SHARE = 0.1  # of the requests to an origin
_INITIAL = 10.0  # so that an origin with few requests gets its retries


class Retries:
    """At most *retries* of a request, and of all requests to an origin one in ten.

    *jitter* gives a random number between two; the delay is any between 0 and the backoff ("full jitter"), so that
    requests that failed together are not sent together again.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, retries: int, jitter: Callable[[float, float], float] = uniform) -> None:
        self._clock = clock
        self._retries = retries
        self._jitter = jitter
        self._budget = OriginBudget(_SHARE, _INITIAL)

    async def run(self, origin: str, attempt: Callable[[int], Awaitable[T]]) -> T:
        """The result of *attempt*, called with 0 and, where it fails with `OriginFailed`, with 1, 2, ..."""
        self._budget.earn(origin)
        for number in range(self._retries):
            try:
                return await attempt(number)
            except (CircuitOpen, NoCredentials):
                raise
            except OriginFailed as error:
                if not self._budget.spend(origin):
                    self.log.info("{origin}: no retry, for too many of its requests fail", origin=origin)
                    raise
                delay = self._jitter(0, min(_LONGEST_DELAY, _FIRST_DELAY * 2**number))
                self.log.info(
                    "the fetch failed and is tried again in {delay:.3f} s: {line}", delay=delay, line=error.logged
                )
                await deferLater(self._clock, delay)
        return await attempt(self._retries)
