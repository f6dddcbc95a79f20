"""Signals: the operator stops or reloads the main process, which stops or replaces its workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from imgforge.interfaces import IServerReactor

__all__ = [
    "call_on_hangup",
    "end_with_failure",
    "stop_on_signals",
    "stop_when_told",
]

log = Logger()


def stop_on_signals(reactor: IServerReactor, bound: Callable[[], float], tidy: Callable[[], None]) -> None:
    """Has SIGTERM and SIGINT stop the reactor, in order, with exit status 0; the second one ends the process at once.

    So does the time, *bound()* seconds after the first: a thread in libvips or on a dead network share would be waited
    for without end. *tidy* is called before that. The caller calls this once more when the reactor runs, as the reactor
    sets a handler of SIGTERM of its own, by which twistd would end by the signal itself.
    """

    def leave(status: int) -> None:
        tidy()
        os._exit(status)

    def time_out(seconds: float) -> None:
        log.warn(
            "the process did not end within {seconds:g} s: ending it now, with threads or workers still busy",
            seconds=seconds,
        )
        leave(0)

    def handle(number: int, _: object) -> None:
        if stopping:
            leave(128 + number)
        stopping.append(number)
        seconds = bound()
        timer = threading.Timer(seconds, time_out, (seconds,))
        timer.daemon = True
        timer.start()
        reactor.callFromThread(reactor.stop)

    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def end_with_failure(reactor: IServerReactor, tidy: Callable[[], None]) -> None:
    """Stops the reactor, in order, calls *tidy*, and ends the process with status 1: twistd itself would end with 0."""

    def leave() -> None:
        tidy()
        sys.stdout.flush()
        os._exit(1)

    reactor.addSystemEventTrigger("after", "shutdown", leave)
    with suppress(ReactorNotRunning):  # it is about to stop
        reactor.stop()


def call_on_hangup(reactor: IServerReactor, reload: Callable[[], None]) -> None:
    """Has SIGHUP call *reload* in the main process; called once the reactor runs."""
    signal.signal(signal.SIGHUP, lambda _, __: reactor.callFromThread(reload))


def stop_when_told(reactor: IServerReactor, hand_over: Callable[[], None]) -> None:
    """Has SIGTERM stop a worker's reactor, in order, however often it comes; the template ignores SIGINT.

    SIGHUP does the same after a call of *hand_over*: another worker has taken this one's place already.

    A terminal sends Ctrl-C to the workers too, and systemd SIGTERM to all processes of a service: with the one that the
    main process passes on it would be the second, and no request would be finished. The main process ends workers
    at once by ending itself.
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
