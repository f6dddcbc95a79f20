"""Runs the clients of a soak for minutes, kills a worker now and then, and samples the resources of the server."""

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

__all__ = ["ResourceSample", "SoakPlan", "SoakResult", "slope_per_1000_requests", "soak"]

_WORKER = "imgforge-worker"  # what worker processes call themselves
_PAUSE = 0.01  # seconds between two actions of a client
_KILL_WINDOW = 1.5  # seconds around a kill in which requests under way may fail


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """How long a soak takes, how many clients of each kind it has, and how often it kills a worker (in seconds)."""

    seconds: float
    good_clients: int
    hostile_clients: int
    kill_interval: float
    seed: int


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """The state of the server at one moment: seconds and requests since the start, wrong answers so far, resources.

    *tree* is the server's whole process tree, *oldest_worker* the worker that is never killed, without its children.
    """

    seconds: float
    requests: int
    wrong_answers: int
    tree: Usage
    oldest_worker: Usage


@dataclass(slots=True)
class SoakResult:
    """Counts and durations (seconds) by action, the wrong answers, the times of the kills, and the samples."""

    done: Counter[str] = field(default_factory=Counter)
    durations: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)  # failed because their worker was killed
    wrong: list[str] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    samples: list[ResourceSample] = field(default_factory=list)
    oldest_worker_survived: bool = True


def slope_per_1000_requests(samples: Sequence[ResourceSample], values: Sequence[float]) -> float:
    """Return the rise of *values*, one for each sample, per 1000 requests (linear regression over the second half)."""
    half = len(samples) // 2
    if len(samples) - half < 3:
        return 0.0
    return 1000 * statistics.linear_regression([sample.requests for sample in samples[half:]], values[half:]).slope


class _SoakRun:
    """One soak under way; its clients run on threads and share the result."""

    def __init__(self, target: SoakTarget, pid: int, seconds: float) -> None:
        self.result = SoakResult()
        self._target = target
        self._pid = pid
        self._oldest_worker = children(pid, _WORKER)[0]
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._lock = threading.Lock()

    def is_over(self) -> bool:
        return time.monotonic() >= self._deadline

    def run_client(self, actions: Mapping[ClientAction, float], seed: int) -> None:
        """Perform one random action after the other until the soak is over."""
        rng = Random(seed)
        while not self.is_over():
            [action] = rng.choices(list(actions), list(actions.values()))
            began = time.monotonic()
            try:
                outcome = action(self._target, rng)
            except Exception as failure:  # counts as a wrong answer
                outcome = repr(failure)
            with self._lock:
                self._count(action.__name__, outcome, began)
            time.sleep(_PAUSE)

    def _count(self, name: str, outcome: str, began: float) -> None:
        result, now = self.result, time.monotonic()
        result.done[name] += 1
        result.durations[name].append(now - began)
        if outcome == REFUSED:
            result.refused[name] += 1
        elif outcome and any(began - _KILL_WINDOW < self._started + kill < now for kill in result.kills):
            result.lost[name] += 1
        elif outcome:
            result.wrong.append(f"{now - self._started:.1f} s: {name}: {outcome}")

    def sample(self) -> None:
        """Record the resources that the server uses now."""
        result = self.result
        oldest_worker = usage(self._oldest_worker, descendants=False)
        result.oldest_worker_survived &= bool(oldest_worker.threads)
        seconds = time.monotonic() - self._started
        tree = usage(self._pid)
        result.samples.append(ResourceSample(seconds, result.done.total(), len(result.wrong), tree, oldest_worker))

    def kill_worker(self) -> None:
        """Kill a worker with SIGKILL, as the kernel does when memory runs out; never the oldest, which is measured."""
        victims = [child for child in children(self._pid, _WORKER) if child != self._oldest_worker]
        if victims:
            with self._lock:
                self.result.kills.append(time.monotonic() - self._started)
            with suppress(ProcessLookupError):
                os.kill(victims[-1], signal.SIGKILL)


def soak(target: SoakTarget, pid: int, plan: SoakPlan) -> SoakResult:
    """Run the clients of *plan* against *target*, whose server has the process id *pid*, and kill its workers.

    Leaves the server idle for some seconds at the end, so that the last sample shows what it does not give back.
    """
    run = _SoakRun(target, pid, plan.seconds)
    actions_by_client = [GOOD] * plan.good_clients + [HOSTILE] * plan.hostile_clients
    clients = [
        threading.Thread(target=run.run_client, args=(actions, plan.seed + number), daemon=True)
        for number, actions in enumerate(actions_by_client)
    ]
    for client in clients:
        client.start()
    next_kill = plan.kill_interval
    while not run.is_over():
        time.sleep(0.5)
        run.sample()
        if run.result.samples[-1].seconds > next_kill:
            run.kill_worker()
            next_kill += plan.kill_interval
    for client in clients:
        client.join()
    time.sleep(min(5.0, plan.seconds / 10))
    run.sample()
    if fetch(target.address, "/status").status != 200:
        run.result.wrong.append("/status does not answer 200 at the end")
    return run.result
