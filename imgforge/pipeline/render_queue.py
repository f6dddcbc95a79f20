"""Which render is the next: the first that came, but light ones pass heavy ones that wait.

A render is heavy if it is estimated to take longer than `HEAVY` seconds, or has done so. Heavy ones

- leave one thread to light ones: a thumbnail never waits for an AVIF's end;
- take their place in the order as if they had come later, by their estimated time, `MOST_DELAY` at most: so none
  starves.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

__all__ = ["HEAVY", "Pace", "QueuedRender", "RenderQueue", "due"]

HEAVY = 0.2
MOST_DELAY = 2.0
_LATEST = 16


def due(came: float, seconds: float) -> float:
    """The place in the order of a render that came then, and is estimated to take so many *seconds*."""
    return came + (min(seconds, MOST_DELAY) if seconds > HEAVY else 0.0)


class QueuedRender(Protocol):
    """A render that waits or runs: its place in the order, when it got its thread, and whether it is heavy."""

    due: float
    admitted: float
    heavy: bool


R = TypeVar("R", bound=QueuedRender)


class Pace:
    """How many seconds are between two ends of renders, on an average of the latest, while others wait."""

    def __init__(self) -> None:
        self.interval = 0.0
        self._last = -math.inf  # the end before, unless nothing waited then

    def ended(self, now: float, *, busy: bool) -> None:
        """A render has ended; *busy*: others wait. What was before nobody waited says nothing about what comes."""
        if self._last > -math.inf:
            self.interval += (now - self._last - self.interval) / _LATEST
        if not busy:
            self.interval = 0.0
        self._last = now if busy else -math.inf


class RenderQueue(Generic[R]):
    """The renders of a process that wait for one of its *threads* or have one."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        # A lone thread is for all.
        self._heavy_threads = max(1, threads - 1)
        self._light: OrderedDict[int, R] = OrderedDict()
        self._heavy: OrderedDict[int, R] = OrderedDict()
        self._running: dict[int, R] = {}

    @property
    def running(self) -> int:
        """How many have a thread."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._light) + len(self._heavy)

    def add(self, render: R) -> None:
        """Let *render* wait behind those that came before it."""
        (self._heavy if render.heavy else self._light)[id(render)] = render

    def remove(self, render: R) -> bool:
        """Let *render* wait no longer; whether it did."""
        return (self._heavy if render.heavy else self._light).pop(id(render), None) is not None

    def start_next(self, now: float) -> R | None:
        """The render that begins to run *now*; None if there is none, or no thread for it."""
        if len(self._running) >= self._threads or not (self._light or self._heavy):
            return None
        heavy_ones = sum(render.heavy or render.admitted + HEAVY <= now for render in self._running.values())
        candidates = [self._light, self._heavy] if heavy_ones < self._heavy_threads else [self._light]
        render = min((next(iter(waiting.values())) for waiting in candidates if waiting), key=_order, default=None)
        if render is not None:
            self.remove(render)
            self._running[id(render)] = render
        return render

    def end(self, render: R) -> None:
        """Free the thread of *render*."""
        del self._running[id(render)]


def _order(render: QueuedRender) -> float:
    return render.due
