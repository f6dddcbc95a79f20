"""Threads for file work on a medium that may stop answering: a dead share, a failing disk.

A thread that waits for such a medium cannot be called back. So nobody waits for it longer than *patience*, and while
anything is overdue nothing more is begun: what would be queued behind it fails at once. The overdue work is the probe
as well: once it comes back, the medium is in use again.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

__all__ = ["FileThreads", "IDiskReactor", "Stalled"]

T = TypeVar("T")


class IDiskReactor(IReactorTime, IReactorFromThreads):
    """What file work needs of a reactor."""


class Stalled(OSError):
    """The medium does not answer."""


class _DaemonThread(Thread):
    """A thread that does not keep a process alive: one that waits for a dead medium would do so for ever."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named, daemon=True)


class _Pool(ThreadPool):
    threadFactory = _DaemonThread


class _Job(Generic[T]):
    """Work on its way through a thread; *overdue* is shared by all and holds those that were given up."""

    __slots__ = ("_overdue", "_work", "done", "given_up")

    def __init__(self, work: Callable[[], T], overdue: set[_Job[Any]]) -> None:
        self._work = work
        self._overdue = overdue
        self.done = False
        self.given_up = False

    def __call__(self) -> T:
        try:
            if self.given_up:  # it was still queued: nobody wants it any more
                raise Stalled
            return self._work()
        finally:
            self.done = True
            self._overdue.discard(self)

    def give_up(self) -> None:
        self.given_up = True
        self._overdue.add(self)
        # The thread may have ended between the two: then it discarded nothing.
        if self.done:
            self._overdue.discard(self)


class FileThreads:
    """At most *count* threads; *patience* is in seconds."""

    def __init__(self, reactor: IDiskReactor, count: int, patience: float) -> None:
        self._reactor = reactor
        self._patience = patience
        self._pool = _Pool(minthreads=0, maxthreads=count, name="imgforge-cache")
        self._overdue: set[_Job[Any]] = set()

    @property
    def stalled(self) -> bool:
        """Whether something is overdue."""
        return bool(self._overdue)

    def start(self) -> None:
        """Let threads run; what was asked for before begins now."""
        self._pool.start()

    def soon(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*; `Stalled` where it does not come in time."""
        if self.stalled:
            return fail(Stalled())
        job = _Job(work, self._overdue)

        def late(_outcome: object, _seconds: float) -> T:
            job.give_up()
            raise Stalled

        return deferToThreadPool(self._reactor, self._pool, job).addTimeout(self._patience, self._reactor, late)

    def eventually(self, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, whenever it comes; `Stalled` where something is overdue already."""
        if self.stalled:
            return fail(Stalled())
        return deferToThreadPool(self._reactor, self._pool, work)

    def surely(self, work: Callable[[], T]) -> Deferred[T]:
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

        _DaemonThread(target=wait, name="imgforge-cache-stop").start()
        await stopped.addTimeout(within, self._reactor, lambda _outcome, _seconds: None)
