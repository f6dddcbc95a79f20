"""Work that is done again and again while the reactor runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Background"]


class Background:
    """Calls *work* every *interval* seconds; a failure is logged once, as *complaint*, and is not the end of it."""

    log = Logger()

    def __init__(self, reactor: Any, interval: float, work: Callable[[], None], complaint: str) -> None:
        self._interval = interval
        self._work = work
        self._complaint = complaint
        self._failing = False
        self._loop = LoopingCall(self._once)
        self._loop.clock = reactor

    def start(self, *, now: bool = False) -> None:
        """Begin, with the first call *now* or after the interval."""
        self._loop.start(self._interval, now=now)

    def stop(self) -> None:
        """End it, if it has begun."""
        if self._loop.running:
            self._loop.stop()

    def _once(self) -> None:
        try:
            self._work()
        except Exception:
            if not self._failing:
                self.log.failure("{complaint}", complaint=self._complaint)
            self._failing = True
        else:
            self._failing = False
