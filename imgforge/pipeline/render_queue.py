"""Which render is the next: the first that came, but light ones pass heavy ones that wait.

There are as many places for renders as CPUs, whichever process takes them (`imgforge.concurrency.Places`): with more at
once all would take longer, and with a queue for each process some would wait behind many while others wait behind few.
A process has more threads than its share of places, so that it can use those of an idle one.

A render is heavy if it is estimated to take longer than `HEAVY` seconds, or has done so. Heavy ones

- leave one of their process' threads, and one of all places, to light ones: a thumbnail never waits for an AVIF's end;
- count as if they had come later by as long as they are estimated to take, `MOST_DELAY` at most: nothing that comes
  after that passes them where they can start, and they use what is idle. None starves.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from imgforge.concurrency import Places

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
        """A render has ended; *busy*: others wait."""
        if self._last > -math.inf:
            self.interval += (now - self._last - self.interval) / _LATEST
        self._last = now if busy else -math.inf


class RenderQueue(Generic[R]):
    """The renders of one process, which has so many *threads*, that wait for *places* or have them."""

    def __init__(self, threads: int, places: Places) -> None:
        self.places = places
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

    def start_next(self, *, anyway: bool = False) -> R | None:
        """The render that begins to run now; None if there is none, no thread or place is free, or others are first.

        With *anyway* places and others do not count.
        """
        light, heavy = self._candidates()
        for render in sorted(filter(None, (light, heavy)), key=_order):
            if anyway or (self.places.free(heavy=render.heavy) and self.places.is_first(render.due)):
                self.remove(render)
                self._running[id(render)] = render
                self.places.take(heavy=render.heavy)
                return render
        self.places.announce(light.due if light else None, heavy.due if heavy else None)
        return None

    def end(self, render: R) -> None:
        """Free the thread and the place of *render*."""
        del self._running[id(render)]
        self.places.give_back(heavy=render.heavy)

    def age(self, now: float) -> float | None:
        """Note which renders have become heavy; returns when the next one will, None if none can."""
        due = None
        for render in self._running.values():
            if not render.heavy and render.admitted + HEAVY <= now:
                render.heavy = True
                self.places.become_heavy()
            elif not render.heavy:
                due = min(due or math.inf, render.admitted + HEAVY)
        return due

    def _candidates(self) -> tuple[R | None, R | None]:
        """The first light and the first heavy render for which there is a thread."""
        if len(self._running) >= self._threads or not (self._light or self._heavy):
            return None, None
        heavy_ones = sum(render.heavy for render in self._running.values())
        heavy = _first(self._heavy) if heavy_ones < self._heavy_threads else None
        return _first(self._light), heavy


def _first(waiting: OrderedDict[int, R]) -> R | None:
    return next(iter(waiting.values()), None)


def _order(render: QueuedRender) -> float:
    return render.due
