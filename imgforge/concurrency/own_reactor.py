"""Runs one piece of work in a reactor of its own, for programs that block meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["run_handling_signals", "run_in_own_reactor"]

_T = TypeVar("_T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_handling_signals(
    reactor: Any, begin: Callable[[], object], interrupt: Callable[[int, FrameType | None], object]
) -> None:
    """Run *reactor* from *begin* on until it stops; *interrupt* gets SIGINT and SIGTERM, on the main thread."""
    handled = _SIGNALS if current_thread() is main_thread() else ()
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_in_own_reactor(work: Callable[[Any], Coroutine[Any, Any, _T]], timeout: float | None = None) -> _T:
    """The result of *work*, called with the reactor; raises what it raises, after *timeout* seconds `TimeoutError`.

    Another reactor may run at the time. SIGINT ends it by `KeyboardInterrupt`, SIGTERM by `SystemExit`.
    """
    from twisted.internet.selectreactor import SelectReactor  # no server needs it

    reactor: Any = SelectReactor()
    outcome: list[_T | Failure] = []
    caught: list[int] = []

    def interrupt(number: int, _: object) -> None:
        caught.append(number)
        reactor.callFromThread(stop)

    def stop() -> None:
        if reactor.running:
            reactor.stop()

    def end(result: _T | Failure) -> None:
        outcome.append(result)
        stop()

    def begin() -> None:
        working: Deferred[_T] = Deferred.fromCoroutine(work(reactor))
        if timeout is not None:
            working.addTimeout(timeout, reactor)
        working.addBoth(end)

    run_handling_signals(reactor, begin, interrupt)
    if caught:
        raise KeyboardInterrupt if caught[0] == signal.SIGINT else SystemExit(128 + caught[0])
    result = outcome[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
