"""A circuit breaker for a tier: one that does not answer, or keeps failing, is left alone and probed.

    closed ── a call that takes too long, or failures in a row ──> open ── rest ──> probe ─┬─ answer ──> closed
                                                                    ^                      └─ failure ─┐
                                                                    └────── twice the rest ────────────┘

No client waits for a probe. The rest begins with a second, and doubles up to half a minute; it goes on doubling where
the tier fails again soon after it was closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["TierBreaker"]

_FAILURES = 3  # in a row
_FIRST_REST = 1.0
_LONGEST_REST = 30.0
# Seconds after which a tier that works again counts as one that has never failed.
_FORGIVEN_AFTER = 60.0


class TierBreaker:
    """Opens by `failed`; *probe* asks the tier for anything, and *closed* is called once it has answered."""

    def __init__(self, clock: IReactorTime, probe: Callable[[], Deferred[Any]], closed: Callable[[], None]) -> None:
        self._clock = clock
        self._probe = probe
        self._closed = closed
        self._failures = 0
        self._rest = _FIRST_REST
        self._closed_at = float("-inf")
        self._timer: IDelayedCall | None = None
        self._probing: Deferred[Any] | None = None
        self._stopped = False

    @property
    def open(self) -> bool:
        """Whether the tier is left alone."""
        return self._timer is not None or self._probing is not None

    def succeeded(self) -> None:
        """Count an answer."""
        self._failures = 0

    def failed(self, *, slow: bool) -> None:
        """Count a failure; *slow*: of a call that took too long."""
        self._failures += 1
        if self.open or self._stopped or (not slow and self._failures < _FAILURES):
            return
        if self._clock.seconds() - self._closed_at >= _FORGIVEN_AFTER:
            self._rest = _FIRST_REST
        self._schedule()

    def stop(self) -> None:
        """Probe no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._probing is not None:
            self._probing.cancel()

    def _schedule(self) -> None:
        self._timer = self._clock.callLater(self._rest, self._try)
        self._rest = min(self._rest * 2, _LONGEST_REST)

    def _try(self) -> None:
        self._timer = None
        self._probing = probing = self._probe()
        probing.addCallbacks(self._answered, self._unanswered)

    def _answered(self, _: object) -> None:
        self._probing = None
        self._failures = 0
        self._closed_at = self._clock.seconds()
        self._closed()

    def _unanswered(self, _: object) -> None:
        self._probing = None
        if not self._stopped:
            self._schedule()
