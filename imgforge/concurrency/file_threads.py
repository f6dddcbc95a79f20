"""Threads for file work on a medium that may stop answering: a dead share, a failing disk.

A thread that waits for such a medium cannot be called back. So no caller waits for it longer than a time limit, and
once half of the threads are overdue, or work was overdue before a thread could begin it, nothing more is begun: what
would be queued behind it fails at once. The overdue work is the probe as well: once it comes back, the medium is in use
again. One file that is slow holds up nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from imgforge.concurrency.daemon_threads import DaemonThread, DaemonThreadPool

__all__ = ["FileThreads", "IDiskReactor", "Stalled", "TimeLimit"]

T = TypeVar("T")

# Bytes a second: a medium that brings fewer is taken for one that does not answer.
_SLOWEST = 8 << 20


class IDiskReactor(IReactorTime, IReactorFromThreads):
    """What file work needs of a reactor."""


class Stalled(OSError):
    """The medium does not answer."""


class TimeLimit:
    """Seconds that file work may take; the work extends them itself, once it knows how much there is to read."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def extend_for(self, size: int) -> None:
        """Add the time that *size* bytes take on a slow medium. On any thread."""
        self.seconds += size / _SLOWEST


class _Job(Generic[T]):
    """Work on its way through a thread; the reactor may give it up at any time."""

    __slots__ = ("_work", "begun", "given_up")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.begun = False
        self.given_up = False

    def __call__(self) -> T:
        self.begun = True
        if self.given_up:  # it was still queued: nobody wants it any more
            raise Stalled
        return self._work()

    def give_up(self) -> None:
        self.given_up = True


class FileThreads:
    """At most *count* threads; *patience* is the usual time limit in seconds. *name* is that of the threads."""

    def __init__(self, reactor: IDiskReactor, count: int, patience: float, name: str = "imgforge-cache") -> None:
        self._reactor = reactor
        self._patience = patience
        self._name = name
        self._pool = DaemonThreadPool(minthreads=0, maxthreads=count, name=name)
        self._may_hang = max(1, count // 2)
        self._overdue: set[_Job[Any]] = set()  # only the reactor's thread changes it

    @property
    def stalled(self) -> bool:
        """Whether the medium is taken for one that does not answer."""
        return len(self._overdue) >= self._may_hang or any(not job.begun for job in self._overdue)

    def start(self) -> None:
        """Let threads run; what was asked for before begins now."""
        self._pool.start()

    def run_with_timeout(
        self, work: Callable[[], T], limit: TimeLimit | None = None, discard: Callable[[T], object] | None = None
    ) -> Deferred[T]:
        """The outcome of *work*; `Stalled` where it does not come within *limit*.

        An outcome that comes later, or after the Deferred was cancelled, is given to *discard*.
        """
        if self.stalled:
            return fail(Stalled())
        limit = limit or TimeLimit(self._patience)
        job = _Job(work)
        result: Deferred[T] = Deferred(lambda _: job.give_up())
        watching: list[IDelayedCall] = []

        def watch(granted: float, seconds: float) -> None:
            watching[:] = [self._reactor.callLater(seconds, late, granted)]

        def late(granted: float) -> None:
            if limit.seconds > granted:
                watch(limit.seconds, limit.seconds - granted)
                return
            job.give_up()
            self._overdue.add(job)
            if not result.called:
                result.errback(Stalled())

        def came_back(outcome: T | Failure) -> None:
            if watching[0].active():
                watching[0].cancel()
            self._overdue.discard(job)
            if isinstance(outcome, Failure):
                if not result.called:
                    result.errback(outcome)
            elif not result.called:
                result.callback(outcome)
            elif discard is not None:
                discard(outcome)

        # It watches on after a cancellation: whether anybody waits or not, the thread may hang.
        watch(limit.seconds, limit.seconds)
        self._pool.callInThreadWithCallback(lambda _, outcome: self._reactor.callFromThread(came_back, outcome), job)
        return result

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, whenever it comes; `Stalled` where the medium does not answer already."""
        if self.stalled:
            return fail(Stalled())
        return deferToThreadPool(self._reactor, self._pool, work)

    def run_even_if_stalled(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, which is done even if it has to wait for what is overdue: for giving things back."""
        return deferToThreadPool(self._reactor, self._pool, work)

    async def stop(self, within: float) -> None:
        """Wait for the threads, at most *within* seconds; on a thread, for a pool that stops blocks. Once is enough."""
        if self._pool.joined:
            return
        stopped: Deferred[None] = Deferred()

        def wait() -> None:
            self._pool.stop()
            self._reactor.callFromThread(stopped.callback, None)

        DaemonThread(target=wait, name=f"{self._name}-stop").start()
        await stopped.addTimeout(within, self._reactor, lambda _outcome, _seconds: None)
