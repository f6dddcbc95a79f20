"""Threads for file operations on a medium that may stop answering: a dead network share, a failing disk.

A thread that is blocked by such a medium cannot be interrupted. So no caller waits longer than a time limit. Once half
of the threads are overdue, or an operation was overdue before a thread could begin it, the medium counts as stalled:
further operations fail at once. The overdue operations are the probe as well: once they end, the medium is in use
again. A single slow file blocks no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from imgforge.concurrency.daemon_threads import DaemonThread, DaemonThreadPool
from imgforge.interfaces import IServerReactor

__all__ = ["FileThreads", "Stalled", "TimeLimit"]

T = TypeVar("T")

# Bytes a second: a slower medium counts as stalled.
_SLOWEST = 8 << 20


class Stalled(OSError):
    """The medium does not answer in time."""


class TimeLimit:
    """Seconds that an operation may take; the operation extends them itself, once it knows how much it reads."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def extend_for(self, size: int) -> None:
        """Add the seconds that *size* bytes take on the slowest medium. On any thread."""
        self.seconds += size / _SLOWEST


class _Job(Generic[T]):
    """An operation on its way through a thread; the reactor's thread may abandon it at any time."""

    __slots__ = ("_work", "abandoned", "begun")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.begun = False
        self.abandoned = False

    def __call__(self) -> T:
        self.begun = True
        if self.abandoned:  # while it was queued
            raise Stalled
        return self._work()

    def abandon(self) -> None:
        """Do not begin it any more; one that has begun goes on."""
        self.abandoned = True


class FileThreads:
    """Runs file operations on at most *count* threads called *name*; *patience* is the usual time limit in seconds."""

    def __init__(self, reactor: IServerReactor, count: int, patience: float, name: str = "imgforge-cache") -> None:
        self._reactor = reactor
        self._patience = patience
        self._name = name
        self._pool = DaemonThreadPool(minthreads=0, maxthreads=count, name=name)
        self._may_hang = max(1, count // 2)
        self._overdue: set[_Job[Any]] = set()  # changed in the reactor's thread only

    @property
    def stalled(self) -> bool:
        """Whether the medium counts as one that does not answer."""
        return len(self._overdue) >= self._may_hang or any(not job.begun for job in self._overdue)

    def start(self) -> None:
        """Start the threads; operations that were queued before begin now."""
        self._pool.start()

    def run_with_timeout(
        self, work: Callable[[], T], limit: TimeLimit | None = None, discard: Callable[[T], object] | None = None
    ) -> Deferred[T]:
        """The outcome of *work*; `Stalled` where it does not come within *limit*.

        *discard* is called with a result that comes later, or after the Deferred was cancelled.
        """
        if self.stalled:
            return fail(Stalled())
        limit = limit or TimeLimit(self._patience)
        job = _Job(work)
        result: Deferred[T] = Deferred(lambda _: job.abandon())
        timer: list[IDelayedCall] = []

        def start_timer(granted: float, seconds: float) -> None:
            timer[:] = [self._reactor.callLater(seconds, expire, granted)]

        def expire(granted: float) -> None:
            if limit.seconds > granted:
                start_timer(limit.seconds, limit.seconds - granted)
                return
            job.abandon()
            self._overdue.add(job)
            if not result.called:
                result.errback(Stalled())

        def ended(outcome: T | Failure) -> None:
            if timer[0].active():
                timer[0].cancel()
            self._overdue.discard(job)
            if isinstance(outcome, Failure):
                if not result.called:
                    result.errback(outcome)
            elif not result.called:
                result.callback(outcome)
            elif discard is not None:
                discard(outcome)

        # The timer runs on after a cancellation: the thread may hang whether a caller waits or not.
        start_timer(limit.seconds, limit.seconds)
        self._pool.callInThreadWithCallback(lambda _, outcome: self._reactor.callFromThread(ended, outcome), job)
        return result

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, without a time limit; `Stalled` where the medium counts as stalled already."""
        if self.stalled:
            return fail(Stalled())
        return deferToThreadPool(self._reactor, self._pool, work)

    def run_even_if_stalled(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, which waits for overdue operations if it must: for closing and removing files."""
        return deferToThreadPool(self._reactor, self._pool, work)

    async def stop(self, within: float) -> None:
        """Wait for the threads, at most *within* seconds, without blocking; once they have ended it returns at once."""
        if self._pool.joined:
            return
        stopped: Deferred[None] = Deferred()

        def wait() -> None:
            self._pool.stop()
            self._reactor.callFromThread(stopped.callback, None)

        DaemonThread(target=wait, name=f"{self._name}-stop").start()
        await stopped.addTimeout(within, self._reactor, lambda _outcome, _seconds: None)
