"""Several processes that work as one: the images of a queue are made on all CPUs, which the threads of one do not use.

They are forked before there is a reactor or libvips, count in memory that all share, and end with the first process.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

from imgforge.errors import QueueFailed
from imgforge.service.platform import die_with_parent
from imgforge.service.prerendering.worker_report import OUTCOMES, WorkerReport

__all__ = ["run_in_processes"]

_LOOKED = 0.1  # seconds between two looks at the processes
_LOOKS_BETWEEN_REPORTS = 5
_UNUSABLE = 75  # sysexits.h, EX_TEMPFAIL: the exit status of a process that cannot use the queue
_LONGEST_REASON = 1000
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _SharedReport(WorkerReport):
    """Counts where the first process sees it."""

    def __init__(self, counts: Any) -> None:
        super().__init__()
        self._counts = counts

    def prerendered(self, outcome: str) -> None:
        """Counts a job."""
        with self._counts.get_lock():
            self._counts[OUTCOMES.index(outcome)] += 1


class _Processes:
    """*number* processes that run *work*; one that is killed is replaced, until they are told to stop."""

    def __init__(self, work: Sequence[Callable[[WorkerReport], object]]) -> None:
        self._context = multiprocessing.get_context("fork")
        self._counts = self._context.Array("q", len(OUTCOMES))
        self._reason: Any = self._context.Array("c", _LONGEST_REASON)
        self._stopping = False
        self._running = {self._start(each): each for each in work}

    def _start(self, work: Callable[[WorkerReport], object]) -> BaseProcess:
        process = self._context.Process(target=self._run, args=(work,))
        process.start()
        return process

    def _run(self, work: Callable[[WorkerReport], object]) -> None:
        die_with_parent()
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)  # until the reactor takes it
        try:
            work(_SharedReport(self._counts))
        except QueueFailed as error:
            self._reason.value = error.logged.encode()[: _LONGEST_REASON - 1]
            raise SystemExit(_UNUSABLE) from None

    def stop(self) -> None:
        """Tell all of them to stop."""
        self._stopping = True
        for process in self._running:
            process.terminate()

    def look(self) -> bool:
        """Replace those that were killed; returns whether one is running."""
        for process, work in list(self._running.items()):
            if process.is_alive():
                continue
            del self._running[process]
            if process.exitcode == _UNUSABLE:
                self.stop()
            elif process.exitcode and process.exitcode < 0 and not self._stopping:
                self._running[self._start(work)] = work
        return bool(self._running)

    def count(self, report: WorkerReport) -> None:
        """Bring *report* up to date."""
        report.outcomes.update({name: self._counts[at] - report.outcomes[name] for at, name in enumerate(OUTCOMES)})

    @property
    def reason(self) -> str:
        """Why one of them cannot use the queue."""
        return str(self._reason.value, "utf-8", "replace")


def run_in_processes(
    work: Sequence[Callable[[WorkerReport], object]], show: Callable[[WorkerReport], None]
) -> WorkerReport:
    """Run each *work* in a process of its own until all have ended; *show* is called with what they have done.

    SIGINT and SIGTERM stop all of them. `QueueFailed` where one cannot use the queue.
    """
    report = WorkerReport()
    looks = 0
    processes = _Processes(work)
    with _on_signals(processes.stop):
        while processes.look():
            time.sleep(_LOOKED)
            looks += 1
            processes.count(report)
            if looks % _LOOKS_BETWEEN_REPORTS == 0:
                show(report)
    processes.count(report)
    if processes.reason:
        raise QueueFailed(processes.reason)
    return report


@contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    before = {each: signal.signal(each, lambda *_: stop()) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
