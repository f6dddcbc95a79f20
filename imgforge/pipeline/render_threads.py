"""libvips work on threads: the only place where the reactor's world and `imgforge.processing` meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from imgforge.errors import Quarantined
from imgforge.observability import Stage, WorkRecord
from imgforge.pipeline.crash_tracker import Quarantine
from imgforge.processing import Cancellation

__all__ = ["IThreadReactor", "OperationObserver", "RenderThreads"]

T = TypeVar("T")


class IThreadReactor(IReactorTime, IReactorFromThreads):
    """What the threads need of a reactor."""


class OperationObserver(Protocol):
    """Who counts the operations and the seconds that they waited and ran."""

    def operation_waiting(self, operation: str, change: int) -> None: ...
    def operation_active(self, operation: str, change: int) -> None: ...
    def operation_timed(self, operation: str, waited: float, queued: float, ran: float) -> None: ...


class RenderThreads:
    """Runs libvips work on a pool of threads, at most *limit* at once.

    A cancelled operation is killed inside libvips; its slot stays taken until the thread has really come back, so
    that threads never outnumber the limit. So does what *quarantine* is told of the sources. Of those that it suspects
    one at a time is worked on: if the process dies of it, it is clear of which.
    """

    def __init__(
        self,
        reactor: IThreadReactor,
        limit: int,
        observer: OperationObserver,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._reactor = reactor
        self._quarantine = quarantine or Quarantine()
        self._suspects = DeferredLock()
        self._slots = DeferredSemaphore(limit)
        self._observer = observer
        self.limit = limit
        self.pool = ThreadPool(minthreads=0, maxthreads=limit, name="imgforge-render")

    def start(self) -> None:
        """Start the pool; threads come as they are needed."""
        self.pool.start()

    def stop(self) -> None:
        """Wait for the running operations and end the threads."""
        self.pool.stop()

    async def run(
        self,
        operation: str,
        work: Callable[[Cancellation], T],
        source: str = "",
        record: WorkRecord | None = None,
    ) -> T:
        """The result of *work* on *source* called on a thread; *operation* names it in the metrics.

        *record* gets the time that it waited and ran, also where it fails or is cancelled.
        """
        record = record or WorkRecord()
        clock = self._reactor.seconds
        arrived = clock()
        self._observer.operation_waiting(operation, 1)
        held = ExitStack()
        try:
            await self._admitted(source, held)
            held.enter_context(self._quarantine.working(source))
        except Quarantined:
            # In a turn of the reactor's own: the next in line may be refused too, and a long line would be recursion.
            self._reactor.callLater(0, held.close)
            raise
        except BaseException:
            held.close()
            raise
        finally:
            self._observer.operation_waiting(operation, -1)
            record.add(Stage.WAIT, clock() - arrived)
        admitted, started = clock(), math.inf
        cancellation = Cancellation()
        result: Deferred[T] = Deferred(lambda _: cancellation.cancel())

        def on_thread() -> T:
            nonlocal started
            started = clock()
            try:
                return work(cancellation)
            finally:
                cancellation.forget()  # or the reactor's thread would free pixels and decoders, for a millisecond

        def came_back(outcome: T | Failure) -> None:
            self._observer.operation_active(operation, -1)
            held.close()
            if result.called:  # cancelled meanwhile: nobody waits for what the thread brings back
                return
            if isinstance(outcome, Failure):
                result.errback(outcome)
                return
            self._observer.operation_timed(operation, admitted - arrived, started - admitted, clock() - started)
            result.callback(outcome)

        self._observer.operation_active(operation, 1)
        deferToThreadPool(self._reactor, self.pool, on_thread).addBoth(came_back)
        try:
            return await result
        finally:
            now = clock()
            record.add(Stage.WAIT, min(started, now) - admitted)
            if started < math.inf:
                record.add(Stage.PROCESS, now - started)

    async def _admitted(self, source: str, held: ExitStack) -> None:
        """Wait for a slot, which *held* gives back; where *source* is a suspect, or becomes one, for its turn first."""
        while True:
            suspect = await self._turn(source)
            try:
                await self._slots.acquire()
            except BaseException:
                if suspect:
                    self._suspects.release()
                raise
            if suspect or not self._quarantine.is_suspect(source):
                break
            self._reactor.callLater(0, self._slots.release)
        held.callback(self._slots.release)
        if suspect:
            held.callback(self._suspects.release)

    async def _turn(self, source: str) -> bool:
        """Wait until no other suspect is worked on; False, without a turn, if *source* is no suspect (any more)."""
        while self._quarantine.is_suspect(source):
            await self._suspects.acquire()
            if self._quarantine.is_suspect(source):
                return True
            self._reactor.callLater(0, self._suspects.release)
        return False
