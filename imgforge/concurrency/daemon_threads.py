"""Daemon threads, which do not keep a process alive: a thread may wait for a dead medium or name server for ever."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

__all__ = ["DaemonThread", "DaemonThreadPool", "call_on_thread"]

T = TypeVar("T")


class DaemonThread(Thread):
    """A thread that the process does not wait for at its end."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named, daemon=True)


class DaemonThreadPool(ThreadPool):
    """Twisted's thread pool, on daemon threads."""

    threadFactory = DaemonThread


def call_on_thread(reactor: IReactorFromThreads, work: Callable[[], T]) -> Deferred[T]:
    """Call *work* on a thread of its own, which the end of the process does not wait for; fires with its result."""
    ended: Deferred[T] = Deferred()

    def run() -> None:
        try:
            result = work()
        except BaseException:
            reactor.callFromThread(ended.errback, Failure())
        else:
            reactor.callFromThread(ended.callback, result)

    DaemonThread(target=run, name="imgforge-call").start()
    return ended
