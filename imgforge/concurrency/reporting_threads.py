"""Threads that report to the reactor: it is woken once for all calls that ended since it last looked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

__all__ = ["ReportingThreads"]

_Call = tuple[Callable[[], object], Callable[[object], None]]


class ReportingThreads:
    """A pool of threads called *name* that grows to the largest number of calls at once."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._name = name
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._ended: deque[tuple[Callable[[object], None], object]] = deque()
        self._busy = 0
        self._woken = False  # the reactor will look, and has not yet

    def call(self, work: Callable[[], object], ended: Callable[[object], None]) -> None:
        """Call *work* on a thread, and then *ended* in the reactor's with its result, or the `Failure` of it.

        Raises `RuntimeError` where a thread is needed and the system has none left.
        """
        if self._busy == len(self._threads):
            thread = Thread(target=self._run, name=f"{self._name}-{self._busy}")
            thread.start()
            self._threads.append(thread)
        self._busy += 1
        self._calls.put((work, ended))

    def stop(self) -> None:
        """Wait for the calls under way and end the threads. Blocks."""
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            work, ended = call
            try:
                outcome = work()
            except BaseException:
                outcome = Failure()
            self._ended.append((ended, outcome))
            del call, work, ended, outcome  # or what they refer to would live until the next call
            if not self._woken:  # two threads may both find that: the reactor then looks twice
                self._woken = True
                self._reactor.callFromThread(self._report)

    def _report(self) -> None:
        self._woken = False  # first: what ends from now on is reported anew
        while self._ended:
            ended, outcome = self._ended.popleft()
            self._busy -= 1
            ended(outcome)
