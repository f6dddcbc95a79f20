"""libvips work on threads: the only place where the reactor's world and `imgforge.processing` meet."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imgforge.concurrency import ReportingThreads
from imgforge.errors import Quarantined
from imgforge.interfaces import IServerReactor
from imgforge.observability import Stage, WorkRecord
from imgforge.pipeline.crash_tracker import Quarantine
from imgforge.pipeline.render_queue import HEAVY, Pace, RenderQueue, due
from imgforge.processing import Cancellation

__all__ = ["OperationObserver", "RenderThreads"]

T = TypeVar("T")


class OperationObserver(Protocol):
    """Counts operations; `waited` are seconds for admission, `queued` for a thread, `ran` on the thread."""

    def operation_waiting(self, operation: str, change: int) -> None: ...
    def operation_active(self, operation: str, change: int) -> None: ...
    def operation_timed(self, operation: str, waited: float, queued: float, ran: float) -> None: ...


@dataclass(eq=False, slots=True)
class _Render:
    """An operation, its place in the order, and when, by the clock, it came, got its thread, began to run and ended."""

    operation: str
    work: Callable[[Cancellation], Any]
    source: str
    heavy: bool
    due: float
    came: float
    result: Deferred[Any] | None = None  # None once it has fired or nobody waits for it
    cancellation: Cancellation = field(default_factory=Cancellation)
    recorded: AbstractContextManager[None] = field(default_factory=nullcontext)  # as being worked on, while it runs
    admitted: float = math.inf
    started: float = math.inf
    ended: float = math.inf


class RenderThreads:
    """Runs libvips work on up to *limit* threads, in the order that `RenderQueue` says.

    A cancelled operation is killed inside libvips. Its thread stays taken, and its source recorded as being worked on,
    until the thread has really returned, so that threads never outnumber the limit. Of the sources that
    *quarantine* suspects, only one at a time is worked on: if the process dies then, that source is the cause.
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
        self._observer = observer
        self._threads = ReportingThreads(reactor, "imgforge-render")
        self._queue: RenderQueue[_Render] = RenderQueue(limit)
        self._pace = Pace()
        self._suspect: _Render | None = None  # the one that waits for a thread or has it
        self._suspects: deque[_Render] = deque()  # those that wait for their turn

    def expected_wait(self) -> float:
        """The seconds that an operation that comes now will wait, about."""
        return self._queue.waiting * self._pace.interval

    def stop(self) -> None:
        """Wait for the running operations and end the threads. Blocks."""
        self._threads.stop()

    async def run(
        self,
        operation: str,
        work: Callable[[Cancellation], T],
        source: str = "",
        record: WorkRecord | None = None,
        seconds: float = 0.0,
    ) -> T:
        """The result of *work* on *source* called on a thread; *operation* names it in the metrics.

        It is estimated to take *seconds*. *record* gets the seconds that it waited and ran, also where it fails or is
        cancelled. Raises `Quarantined` for a source in quarantine, and what *work* raises.
        """
        clock = self._reactor.seconds
        came = clock()
        render = _Render(operation, work, source, seconds > HEAVY, due(came, seconds), came)
        result: Deferred[T] = Deferred(lambda _: self._cancel(render))
        render.result = result
        self._observer.operation_waiting(operation, 1)
        self._add(render)
        self._start()
        error: BaseException | None = None
        try:
            return await result
        except BaseException as raised:
            error = raised
            raise
        finally:
            if record is not None:
                now = min(clock(), render.ended)
                ran = render.started < math.inf
                record.add(Stage.WAIT, render.came, min(render.started, now), None if ran else error)
                if ran:
                    record.add(Stage.PROCESS, render.started, now, error)
            error = None  # or it and this frame, which has the original, would keep each other alive

    def _add(self, render: _Render) -> None:
        """Let *render* wait in the queue; if its source is suspect, only once no other suspect does or runs."""
        if self._quarantine.is_suspect(render.source):
            if self._suspect is not None:
                self._suspects.append(render)
                return
            self._suspect = render
        self._queue.add(render)

    def _start(self) -> None:
        """Start all that may start now."""
        while (render := self._queue.start_next(self._reactor.seconds())) is not None:
            if render is not self._suspect and self._quarantine.is_suspect(render.source):  # since it began to wait
                self._queue.end(render)
                self._add(render)
                continue
            try:
                render.recorded = self._quarantine.working(render.source)
            except Quarantined:  # since it began to wait
                self._queue.end(render)
                self._leave_queue(render)
                # Later: what its caller does then may come here again.
                self._reactor.callLater(0, self._finish, render, Failure())
                continue
            self._begin(render)

    def _begin(self, render: _Render) -> None:
        render.recorded.__enter__()
        self._observer.operation_waiting(render.operation, -1)
        self._observer.operation_active(render.operation, 1)
        clock = self._reactor.seconds
        render.admitted = clock()

        def on_thread() -> Any:
            render.started = clock()
            try:
                return render.work(render.cancellation)
            finally:
                render.ended = clock()
                # Or the reactor's thread would free pixels and decoders, for a millisecond.
                render.cancellation.forget()

        try:
            self._threads.call(on_thread, lambda outcome: self._returned(render, outcome))
        except RuntimeError:  # the system has no thread left
            self._reactor.callLater(0, self._returned, render, Failure())

    def _returned(self, render: _Render, outcome: object) -> None:
        """The thread of *render* is free: for the next one, and only then its caller goes on."""
        self._queue.end(render)
        self._pace.ended(self._reactor.seconds(), busy=self._queue.waiting > 0)
        render.recorded.__exit__(None, None, None)
        self._observer.operation_active(render.operation, -1)
        self._let_next_suspect_in(render)
        try:
            self._start()
        finally:
            self._finish(render, outcome)

    def _finish(self, render: _Render, outcome: object) -> None:
        result, render.result = render.result, None
        if result is None:  # cancelled: nobody waits for the outcome
            return
        if not isinstance(outcome, Failure):
            waited, queued = render.admitted - render.came, render.started - render.admitted
            self._observer.operation_timed(render.operation, waited, queued, render.ended - render.started)
        result.callback(outcome)  # a Failure starts the errback chain

    def _cancel(self, render: _Render) -> None:
        render.result = None
        if self._queue.remove(render):
            self._leave_queue(render)
            self._start()
        elif render in self._suspects:
            self._suspects.remove(render)
            self._leave_queue(render)
        else:
            render.cancellation.cancel()

    def _leave_queue(self, render: _Render) -> None:
        """*render* will not run."""
        self._observer.operation_waiting(render.operation, -1)
        self._let_next_suspect_in(render)

    def _let_next_suspect_in(self, render: _Render) -> None:
        if render is self._suspect:
            self._suspect = None
            waiting, self._suspects = self._suspects, deque()
            for suspect in waiting:
                self._add(suspect)
