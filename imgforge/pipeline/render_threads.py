"""libvips work on threads: the only place where the reactor's world and `imgforge.processing` meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from imgforge.concurrency import ConcurrencyLimit
from imgforge.errors import Quarantined
from imgforge.interfaces import IServerReactor
from imgforge.observability import Stage, WorkRecord
from imgforge.pipeline.crash_tracker import Quarantine
from imgforge.processing import Cancellation

__all__ = ["OperationObserver", "RenderThreads"]

T = TypeVar("T")


class OperationObserver(Protocol):
    """Counts operations; `waited` are seconds for admission, `queued` for a thread, `ran` on the thread."""

    def operation_waiting(self, operation: str, change: int) -> None: ...
    def operation_active(self, operation: str, change: int) -> None: ...
    def operation_timed(self, operation: str, waited: float, queued: float, ran: float) -> None: ...


class RenderThreads:
    """Runs libvips work on a pool of threads, at most *limit* at once.

    A cancelled operation is killed inside libvips. Its slot stays taken, and its source recorded as being worked on,
    until the thread has really returned, so that threads never outnumber the limit. Of the sources that *quarantine*
    suspects, only one at a time is worked on: if the process dies then, that source is the cause.
    """

    def __init__(
        self,
        reactor: IServerReactor,
        limit: int,
        observer: OperationObserver,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._reactor = reactor
        self._quarantine = quarantine or Quarantine()
        self._suspects = ConcurrencyLimit("suspects", 1)
        self._slots = ConcurrencyLimit("threads", limit)
        self._observer = observer
        self.limit = limit
        self.pool = ThreadPool(minthreads=0, maxthreads=limit, name="imgforge-render")

    def start(self) -> None:
        """Start the pool; it makes threads as they are needed."""
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

        *record* gets the seconds that the work waited and ran, also where it fails or is cancelled. Raises
        `Quarantined` for a source in quarantine, and what *work* raises.
        """
        record = record or WorkRecord()
        clock = self._reactor.seconds
        arrived = clock()
        self._observer.operation_waiting(operation, 1)
        admission = ExitStack()
        try:
            await self._admit(source, admission)
            admission.enter_context(self._quarantine.working(source))
        except Quarantined:
            # In a later turn of the reactor: the next in the queue may be refused too, and a long queue would recurse.
            self._reactor.callLater(0, admission.close)
            raise
        except BaseException:
            admission.close()
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

        def returned(outcome: T | Failure) -> None:
            self._observer.operation_active(operation, -1)
            admission.close()
            if result.called:  # cancelled: nobody waits for the outcome
                return
            if isinstance(outcome, Failure):
                result.errback(outcome)
                return
            self._observer.operation_timed(operation, admitted - arrived, started - admitted, clock() - started)
            result.callback(outcome)

        self._observer.operation_active(operation, 1)
        deferToThreadPool(self._reactor, self.pool, on_thread).addBoth(returned)
        try:
            return await result
        finally:
            now = clock()
            record.add(Stage.WAIT, min(started, now) - admitted)
            if started < math.inf:
                record.add(Stage.PROCESS, now - started)

    async def _admit(self, source: str, admission: ExitStack) -> None:
        """Wait for a slot, which *admission* gives back; a suspect *source* first waits for the turn of suspects."""
        while True:
            suspect = await self._take_suspects_turn(source)
            try:
                await self._slots.acquire()
            except BaseException:
                if suspect:
                    self._suspects.release()
                raise
            if suspect or not self._quarantine.is_suspect(source):
                break
            # It became a suspect while it waited for the slot.
            self._reactor.callLater(0, self._slots.release)
        admission.callback(self._slots.release)
        if suspect:
            admission.callback(self._suspects.release)

    async def _take_suspects_turn(self, source: str) -> bool:
        """Wait until no other suspect is worked on; False, without a turn, if *source* is not suspect (any more)."""
        while self._quarantine.is_suspect(source):
            await self._suspects.acquire()
            if self._quarantine.is_suspect(source):
                return True
            self._reactor.callLater(0, self._suspects.release)
        return False
