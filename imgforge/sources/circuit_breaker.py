"""A circuit breaker for each origin: an origin that keeps failing gets no requests for a while.

    closed ── so many failures in a row ──> open ── some seconds ──> half open ── one request ─┬─ answer ──> closed
       ^                                     ^                                                 └─ failure ─> open
       └── any answer                        └── all other requests fail at once

Failures that cost waiting count: connections that fail, heads that do not come or break HTTP, and 502, 503 and 504. Any
other status is an answer, 500 and 429 too.
Failures of requests that were under way together count once: a burst of them is one outage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from imgforge.errors import CircuitOpen, OriginFailed, OriginTimeout
from imgforge.sources.recent_dict import RecentDict

__all__ = ["CircuitBreaker"]

_MOST_ORIGINS = 1000  # that are kept; beyond, the origin that failed longest ago is dropped


@dataclass(slots=True)
class _Circuit:
    """The circuit of an origin that has failed since its last answer."""

    failures: int = 0
    last_failure: int = 0  # the number of the last failure that counted, by the breaker's count of all
    open_until: float = 0.0  # by the clock; 0 while the circuit is closed
    status: int = 502
    cause: str = ""
    probing: bool = False  # half open, with a request under way


class CircuitBreaker:
    """Opens after *failures* in a row, 0 is never, for *seconds*; the key of an origin is scheme, host and port.

    A request that is cancelled after *patience* seconds counts as failed; before, its client has disconnected.
    """

    def __init__(self, clock: IReactorTime, failures: int, seconds: float, patience: float) -> None:
        self._clock = clock
        self._failures = failures
        self._seconds = seconds
        self._patience = patience
        self._circuits: RecentDict[str, _Circuit] = RecentDict(_MOST_ORIGINS)
        self._counted = 0  # failures of all origins: unlike a clock it never goes backwards

    def __len__(self) -> int:
        return len(self._circuits)

    @contextmanager
    def watch(self, origin: str) -> Iterator[None]:
        """Run the block, which sends a request to *origin*, and count its outcome; `CircuitOpen` while it is open."""
        self.check(origin)
        began, counted = self._clock.seconds(), self._counted
        circuit = self._circuits.get(origin)
        probed = None if circuit is None or not circuit.open_until else circuit
        if probed is not None:
            probed.probing = True
        try:
            yield
        except OriginFailed as error:
            self._failed(origin, counted, OriginFailed.status, error.logged)
            raise
        except CancelledError:  # by the deadline, or by a client that left
            if self._clock.seconds() - began < self._patience:
                self._undecided(probed)
            else:
                self._failed(origin, counted, OriginTimeout.status, "the origin took too long")
            raise
        except BaseException:
            self._undecided(probed)
            raise
        self._circuits.pop(origin, None)

    def check(self, origin: str) -> None:
        """`CircuitOpen` while the circuit of *origin* is open."""
        circuit = self._circuits.get(origin)
        if circuit is None or not circuit.open_until:
            return
        # More than that is left only where the clock has been set back.
        if 0 < circuit.open_until - self._clock.seconds() <= self._seconds or circuit.probing:
            error = CircuitOpen("the origin keeps failing and is left alone for a while", circuit.status)
            raise error.caused_by(circuit.cause)

    @staticmethod
    def _undecided(probed: _Circuit | None) -> None:
        """The probe ended without an outcome: the next request is one again."""
        if probed is not None:
            probed.probing = False

    def _failed(self, origin: str, counted: int, status: int, cause: str) -> None:
        if not self._failures:
            return
        circuit = self._circuits[origin] = self._circuits.get(origin) or _Circuit()
        circuit.status, circuit.cause = status, cause
        if counted < circuit.last_failure:
            return
        self._counted += 1
        circuit.failures += 1
        circuit.last_failure = self._counted
        if circuit.probing or circuit.failures >= self._failures:
            circuit.open_until, circuit.probing = self._clock.seconds() + self._seconds, False
