"""Runs work in a reactor of its own until it ends, or until a signal interrupts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from imgforge.concurrency import run_handling_signals

__all__ = ["run_until_signalled"]

_SHOWN_EVERY = 0.1  # seconds


def run_until_signalled(
    reactor: Any,
    work: Callable[[], Coroutine[Any, Any, object]],
    interrupt: Callable[[], object],
    show: Callable[[], object],
) -> int:
    """Runs *work* in *reactor*; SIGINT and SIGTERM call *interrupt*, after which it is to end. Raises what it raises.

    Returns 0, or the number of the first of these signals. *show* is called ten times a second.
    """
    failures: list[Failure] = []
    caught = 0

    def on_signal(number: int, _: object) -> None:
        nonlocal caught
        if caught:  # requests that hang are not waited for
            os._exit(128 + number)
        caught = number
        reactor.callFromThread(interrupt)

    def begin() -> None:
        showing = LoopingCall(show)
        showing.clock = reactor
        showing.start(_SHOWN_EVERY, now=False)
        Deferred.fromCoroutine(work()).addErrback(failures.append).addBoth(lambda _: reactor.stop())

    run_handling_signals(reactor, begin, on_signal)
    if failures:
        failures[0].raiseException()
    return caught
