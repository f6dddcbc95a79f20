"""A circuit breaker for each origin: one that keeps failing is left alone for a while.

    closed ── so many failures in a row ──> open ── some seconds ──> half open ── one request ─┬─ good ──> closed
       ^                                     ^                                                 └─ bad ───> open
       └── any answer                        └── everybody else is refused at once

What counts is what costs waiting: connections that fail, heads that do not come or break HTTP, and 502, 503 and 504.
Failures of requests that were under way together count once: a burst of them is one bad moment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from imgforge.errors import CircuitOpen, OriginFailed, OriginTimeout

__all__ = ["CircuitBreaker"]

_MOST_ORIGINS = 1000  # that are remembered; the one that failed longest ago is forgotten


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    last: int = 0  # the last failure that counted, by the breaker's count of all
    until: float = 0.0  # refused so long
    status: int = 502
    cause: str = ""
    trying: bool = False  # half open, with a request under way


class CircuitBreaker:
    """Opens after *failures* in a row, 0 is never, for *seconds*; origins are named by scheme, host and port.

    A request that is cancelled after *patience* seconds has failed; before that its client has left.
    """

    def __init__(self, clock: IReactorTime, failures: int, seconds: float, patience: float) -> None:
        self._clock = clock
        self._failures = failures
        self._seconds = seconds
        self._patience = patience
        self._troubled: OrderedDict[str, _Trouble] = OrderedDict()
        self._counted = 0  # failures of all origins: unlike a clock it is never put back

    def __len__(self) -> int:
        return len(self._troubled)

    @contextmanager
    def watch(self, origin: str) -> Iterator[None]:
        """Let the block ask *origin* and judge how that ends; `CircuitOpen` at once where it is to be left alone."""
        self.check(origin)
        began, counted = self._clock.seconds(), self._counted
        trouble = self._troubled.get(origin)
        tried = None if trouble is None or not trouble.until else trouble
        if tried is not None:
            tried.trying = True
        try:
            yield
        except OriginFailed as error:
            self._failed(origin, counted, OriginFailed.status, error.logged)
            raise
        except CancelledError:  # by the deadline, or by a client that left
            if self._clock.seconds() - began < self._patience:
                self._undecided(tried)
            else:
                self._failed(origin, counted, OriginTimeout.status, "the origin took too long")
            raise
        except BaseException:
            self._undecided(tried)
            raise
        self._troubled.pop(origin, None)

    def check(self, origin: str) -> None:
        """`CircuitOpen` where *origin* is to be left alone."""
        trouble = self._troubled.get(origin)
        if trouble is None or not trouble.until:
            return
        # More than that is left only where the clock has been put back.
        if 0 < trouble.until - self._clock.seconds() <= self._seconds or trouble.trying:
            error = CircuitOpen("the origin keeps failing and is left alone for a while", trouble.status)
            raise error.caused_by(trouble.cause)

    @staticmethod
    def _undecided(tried: _Trouble | None) -> None:
        """The request that was let through to try has told nothing: another one may."""
        if tried is not None:
            tried.trying = False

    def _failed(self, origin: str, counted: int, status: int, cause: str) -> None:
        if not self._failures:
            return
        trouble = self._troubled.setdefault(origin, _Trouble())
        self._troubled.move_to_end(origin)
        if len(self._troubled) > _MOST_ORIGINS:
            self._troubled.popitem(last=False)
        trouble.status, trouble.cause = status, cause
        if counted < trouble.last:
            return
        self._counted += 1
        trouble.failures += 1
        trouble.last = self._counted
        if trouble.trying or trouble.failures >= self._failures:
            trouble.until, trouble.trying = self._clock.seconds() + self._seconds, False
