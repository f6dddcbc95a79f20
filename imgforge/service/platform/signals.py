"""How processes are told to stop or to start afresh: the main one by the operator, workers by the main one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

__all__ = [
    "call_on_hangup",
    "end_with_failure",
    "ignore_interrupts",
    "interrupts_held",
    "stop_on_signals",
    "stop_when_told",
]

log = Logger()


def stop_on_signals(reactor: Any, bound: Callable[[], float], tidy: Callable[[], None]) -> None:
    """SIGTERM and SIGINT stop the reactor, in order, with exit status 0; the second one ends the process at once.

    So does the time, *bound()* seconds after the first: a thread that libvips or a dead share holds would be waited for
    without end. *tidy* is called before that. To be called once more when the reactor runs, for it sets a handler of
    SIGTERM of its own, by which twistd would end by the signal itself.
    """

    def leave(status: int) -> None:
        tidy()
        os._exit(status)

    def give_up() -> None:
        log.warn("the end takes too long: what is left is given up")
        leave(0)

    def handle(number: int, _: object) -> None:
        if stopping:
            leave(128 + number)
        stopping.append(number)
        timer = threading.Timer(bound(), give_up)
        timer.daemon = True
        timer.start()
        reactor.callFromThread(reactor.stop)

    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def end_with_failure(reactor: Any, tidy: Callable[[], None]) -> None:
    """Stop the reactor, in order, call *tidy*, and end the process with status 1: twistd itself would end with 0."""

    def leave() -> None:
        tidy()
        sys.stdout.flush()
        os._exit(1)

    reactor.addSystemEventTrigger("after", "shutdown", leave)
    with suppress(ReactorNotRunning):  # it is about to stop
        reactor.stop()


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A process that is started meanwhile gets no SIGINT until it asks for that, by `ignore_interrupts` say.

    Ctrl-C reaches all processes of a terminal, and a worker has no handler yet while it imports what it needs. An
    ignored signal would not do: Twisted resets those for the processes that it starts.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """For a worker that was started under `interrupts_held`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def call_on_hangup(reactor: Any, reload: Callable[[], None]) -> None:
    """SIGHUP asks the main process for a new configuration; to be called once the reactor runs."""
    signal.signal(signal.SIGHUP, lambda _, __: reactor.callFromThread(reload))


def stop_when_told(reactor: Any, hand_over: Callable[[], None]) -> None:
    """SIGTERM stops the reactor of a worker, in order, however often it comes; SIGINT is ignored (`ignore_interrupts`).

    So does SIGHUP, after *hand_over* was called: another worker has taken this one's place already.

    For a terminal sends Ctrl-C to the workers too, and systemd SIGTERM to all processes of a service: with the one that
    the main process passes on it would be the second, and nothing under way would be finished. The main process
    ends workers at once by ending itself.
    """

    def handle(number: int, _: object) -> None:
        if not stopping:
            stopping.append(True)
            if number == signal.SIGHUP:
                hand_over()
            reactor.callFromThread(reactor.stop)

    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGHUP, handle)
