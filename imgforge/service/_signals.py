"""How processes are told to stop or to start afresh: the main one by the operator, workers by the main one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

__all__ = ["call_on_hangup", "stop_on_signals", "stop_when_told"]

log = Logger()


def stop_on_signals(reactor: Any, bound: Callable[[], float], tidy: Callable[[], None]) -> None:
    """SIGTERM and SIGINT stop the reactor, in order, with exit status 0; the second one ends the process at once.

    So does the time, *bound()* seconds after the first: a thread that libvips or a dead share holds would be waited for
    without end. *tidy* is called before that. To be called once the reactor runs: its own handlers would have twistd
    end by the signal itself.
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


def call_on_hangup(reactor: Any, reload: Callable[[], None]) -> None:
    """SIGHUP asks the main process for a new configuration; to be called once the reactor runs."""
    signal.signal(signal.SIGHUP, lambda _, __: reactor.callFromThread(reload))


def stop_when_told(reactor: Any, hand_over: Callable[[], None]) -> None:
    """SIGTERM stops the reactor of a worker, in order, however often it comes; SIGINT is left to the main process.

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
