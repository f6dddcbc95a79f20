"""Clients that go on for minutes, a worker that is killed now and then, and looks at the server meanwhile."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from bench.load import fetch
from bench.process_usage import Usage, children, usage
from bench.soak_clients import GOOD, HOSTILE, REFUSED, ClientAction, SoakTarget

__all__ = ["ResourceSample", "SoakResult", "slope", "soak"]

_PAUSE = 0.01  # seconds between two acts of a client
_AROUND = 1.5  # seconds around a kill in which what was under way may be lost


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """What was seen at a moment: seconds and requests since the start, wrong answers, what is used.

    *elder* is the worker that is never killed, without its children.
    """

    seconds: float
    requests: int
    wrong: int
    tree: Usage
    elder: Usage


@dataclass(slots=True)
class SoakResult:
    """What came of it. Outcomes are counted, and seconds kept, by act; what was wrong is listed."""

    done: Counter[str] = field(default_factory=Counter)
    took: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)  # with the worker that was killed
    wrong: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    looks: list[ResourceSample] = field(default_factory=list)
    elder_lived: bool = True


def slope(looks: Sequence[ResourceSample], values: Sequence[float]) -> float:
    """By how much *values* rise in 1000 requests, by the straight line through the looks of the second half."""
    half = len(looks) // 2
    if len(looks) - half < 3:
        return 0.0
    return 1000 * statistics.linear_regression([look.requests for look in looks[half:]], values[half:]).slope


class _Soak:
    def __init__(self, world: SoakTarget, pid: int, seconds: float) -> None:
        self.record = SoakResult()
        self._world = world
        self._pid = pid
        self._elder = children(pid)[0]
        self._began = time.monotonic()
        self._ends = self._began + seconds
        self._lock = threading.Lock()

    def over(self) -> bool:
        return time.monotonic() >= self._ends

    def client(self, acts: Mapping[ClientAction, float], seed: int) -> None:
        """One client that does one thing after the other."""
        chance = Random(seed)
        while not self.over():
            [act] = chance.choices(list(acts), list(acts.values()))
            began = time.monotonic()
            try:
                said = act(self._world, chance)
            except Exception as failure:  # it is the result
                said = repr(failure)
            with self._lock:
                self._count(act.__name__, said, began)
            time.sleep(_PAUSE)

    def _count(self, name: str, said: str, began: float) -> None:
        record, now = self.record, time.monotonic()
        record.done[name] += 1
        record.took[name].append(now - began)
        if said == REFUSED:
            record.refused[name] += 1
        elif said and any(began - _AROUND < self._began + kill < now for kill in record.kills):
            record.lost[name] += 1
        elif said:
            record.wrong.append(f"{now - self._began:.1f} s: {name}: {said}")

    def look(self) -> None:
        """See what the server uses."""
        record = self.record
        elder = usage(self._elder, alone=True)
        record.elder_lived &= bool(elder.threads)
        seconds = time.monotonic() - self._began
        tree = usage(self._pid)
        record.looks.append(ResourceSample(seconds, record.done.total(), len(record.wrong), tree, elder))

    def kill(self) -> None:
        """End a worker as the kernel would that has no memory left; the elder never, whose slopes are wanted."""
        victims = [child for child in children(self._pid) if child != self._elder]
        if victims:
            with self._lock:
                self.record.kills.append(time.monotonic() - self._began)
            with suppress(ProcessLookupError):
                os.kill(victims[-1], signal.SIGKILL)


def soak(
    world: SoakTarget, pid: int, seconds: float, *, good: int, hostile: int, killing: float, seed: int
) -> SoakResult:
    """Have *good* and *hostile* clients at the server *pid* for *seconds*, with a kill every *killing* ones.

    Afterwards it is left alone for some seconds, so that the last look shows what stays.
    """
    run = _Soak(world, pid, seconds)
    acts = [GOOD] * good + [HOSTILE] * hostile
    clients = [
        threading.Thread(target=run.client, args=(one, seed + number), daemon=True) for number, one in enumerate(acts)
    ]
    for client in clients:
        client.start()
    next_kill = killing
    while not run.over():
        time.sleep(0.5)
        run.look()
        if run.record.looks[-1].seconds > next_kill:
            run.kill()
            next_kill += killing
    for client in clients:
        client.join()
    time.sleep(min(5.0, seconds / 10))
    run.look()
    if fetch(world.address, "/status").status != 200:
        run.record.wrong.append("the server is not well at the end")
    return run.record
