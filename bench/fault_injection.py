"""Injects the faults of object stores into a share of a store's answers, by a proxy in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tests.support.fault_proxy import PASS, RESET, Fault, FaultProxy, ProxiedRequest, answer

__all__ = ["FAULTS", "FaultChoice", "FaultCounts", "FaultyStore", "faulty_store"]

_STALL = 30.0  # seconds
_SLOW = 2.0  # seconds
_CUT = 4096  # bytes of a body that come before the fault
_SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def _after(seconds: float) -> Fault:
    time.sleep(seconds)
    return PASS


# What is done to an answer, by name; called on a thread of the request's own.
FAULTS: Mapping[str, Callable[[], Fault]] = {
    "500": lambda: answer(500),
    "503 SlowDown": lambda: answer(503, _SLOW_DOWN, Content_Type="application/xml"),
    "reset before the answer": lambda: RESET,
    "reset in the body": lambda: Fault(cut=_CUT, reset=True),
    "truncated body": lambda: Fault(cut=_CUT),
    "first byte after 30 s": lambda: _after(_STALL),
    "first byte after 2 s": lambda: _after(_SLOW),
    "body stalls": lambda: Fault(cut=_CUT, stall=True),
}


class FaultChoice:
    """Picks the faults of a run: of the same *seed* the same numbers of requests get the same faults."""

    def __init__(self, share: float, names: tuple[str, ...], seed: int) -> None:
        self._share = share
        self._names = names
        self._seed = seed
        self.injected: Counter[str] = Counter()

    def __call__(self, request: ProxiedRequest) -> Fault:
        dice = random.Random(f"{self._seed} {request.number}")
        if dice.random() >= self._share:
            return PASS
        name = dice.choice(self._names)
        self.injected[name] += 1
        return FAULTS[name]()


@dataclass(frozen=True, slots=True)
class FaultCounts:
    """Requests that came to the store so far, and the faults that were injected, by name."""

    requests: int
    injected: Mapping[str, int]


def _serve(upstream: str, share: float, names: tuple[str, ...], seed: int, parent: Connection) -> None:
    """Send the proxy's URL, then a `FaultCounts` for each message, until the parent is gone."""
    choice = FaultChoice(share, names, seed)
    proxy = FaultProxy(upstream, choice)
    parent.send(proxy.url)
    try:
        while True:
            parent.recv()
            parent.send(FaultCounts(len(proxy.requests), dict(choice.injected)))
    except EOFError:
        proxy.close()


class FaultyStore:
    """The proxy, as the process that started it sees it."""

    def __init__(self, connection: Any, url: str) -> None:
        self._connection = connection
        self.url = url

    def counts(self) -> FaultCounts:
        """What has happened so far."""
        self._connection.send("counts")
        counts: FaultCounts = self._connection.recv()
        return counts


@contextmanager
def faulty_store(upstream: str, share: float, names: tuple[str, ...], seed: int) -> Iterator[FaultyStore]:
    """Run a proxy before *upstream* ("host:port") that harms a *share* of its answers by one of the faults *names*."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(upstream, share, names, seed, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield FaultyStore(ours, ours.recv())
    finally:
        ours.close()
        process.terminate()
        process.join()
