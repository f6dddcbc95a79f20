"""A worker of the embedded queue: takes jobs, has them made, and settles them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from imgforge.errors import QueueFailed
from imgforge.interfaces import IServerReactor
from imgforge.observability import logged_target
from imgforge.queue.embedded import EmbeddedQueue
from imgforge.queue.embedded_rows import Claim
from imgforge.queue.jobs import JobFailed, RenderJob, backoff

__all__ = ["EmbeddedWorker", "WorkerObserver", "WorkerSettings"]

T = TypeVar("T")

_LEASE = 10.0  # seconds after which the job of a process that died is taken by another
_FAULT_PAUSE = 5.0  # seconds until a queue that cannot be used is tried again
_LOST = "each process that made this image ended before it was done"


class WorkerObserver(Protocol):
    """Counts jobs."""

    def prerendered(self, outcome: str) -> None:
        """A job ended: done, failed (put aside) or retried (it waits for another try)."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Jobs at once, tries after the first one, and seconds between two looks into an empty queue.

    With *drains* the worker ends when nothing is pending or running. `may_begin` says whether a job may begin now.
    """

    concurrency: int = 1
    max_retries: int = 5
    poll: float = 0.5
    drains: bool = False
    may_begin: Callable[[], bool] = lambda: True


def _end_with(outcomes: list[tuple[bool, Any]], ended: Deferred[Any]) -> None:
    """Fires *ended*, with the first failure among *outcomes* if there is one."""
    ended.callback(next((outcome for worked, outcome in outcomes if not worked), None))


class EmbeddedWorker:
    """Has *make* make the jobs of *queue*; *make* raises `JobFailed`, and is cancelled when the worker stops.

    *make* gets a job, and the trace of its request as a `Claim` has it.
    The queue is used on a thread of the worker's own.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        queue: EmbeddedQueue,
        make: Callable[[RenderJob, str], Coroutine[Deferred[Any], Any, None]],
        settings: WorkerSettings,
        observer: WorkerObserver,
    ) -> None:
        self._reactor = reactor
        self._queue = queue
        self._make = make
        self._settings = settings
        self._observer = observer
        self._pool = ThreadPool(0, 1, name="imgforge-queue")
        self._under_way: dict[Claim, Deferred[None]] = {}
        self._pauses: set[Deferred[None]] = set()
        self._stopping = False
        self._complained = False
        self._loops: Deferred[Any] | None = None
        self._renewal = LoopingCall(self._renew)
        self._renewal.clock = reactor

    def start(self) -> Deferred[Any]:
        """Begin; fires when the worker has ended."""
        self._pool.start()
        self._renewal.start(_LEASE / 3, now=False)
        loops = [Deferred.fromCoroutine(self._loop()) for _ in range(self._settings.concurrency)]
        self._loops = DeferredList(loops, consumeErrors=True)
        ended: Deferred[None] = Deferred()
        self._loops.addCallback(_end_with, ended)
        return ended

    async def stop(self) -> None:
        """Give the jobs under way back, and end."""
        self._stopping = True
        self.yield_now()
        for pause in list(self._pauses):
            pause.cancel()
        if self._loops is not None:
            await self._loops
        if self._renewal.running:
            self._renewal.stop()
        await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._end)

    def _end(self) -> None:
        self._pool.stop()
        self._queue.close()

    def yield_now(self) -> None:
        """Stop the jobs under way and give them back: something else needs the processor."""
        for making in list(self._under_way.values()):
            making.cancel()

    def _call(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)

    async def _pause(self, seconds: float) -> None:
        if self._stopping:
            return
        pause: Deferred[None] = deferLater(self._reactor, seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:  # the worker stops
            pass
        finally:
            self._pauses.discard(pause)

    async def _loop(self) -> None:
        while not self._stopping:
            try:
                if not self._settings.may_begin():
                    await self._pause(self._settings.poll)
                    continue
                claim = await self._call(self._queue.claim, _LEASE)
                if claim is not None:
                    await self._handle(claim)
                elif self._settings.drains and await self._is_empty():
                    return
                else:
                    await self._pause(self._settings.poll)
                self._complained = False
            except QueueFailed as error:
                if self._settings.drains:
                    raise
                if not self._complained:
                    self.log.error("{line}; it is tried again every {pause:g} s", line=error.logged, pause=_FAULT_PAUSE)
                self._complained = True
                await self._pause(_FAULT_PAUSE)
            except Exception:
                self.log.failure("an unexpected error kept the worker from a job; it goes on")
                await self._pause(_FAULT_PAUSE)

    async def _is_empty(self) -> bool:
        status = await self._call(self._queue.status, 0)
        return not status.pending and not status.running

    async def _handle(self, claim: Claim) -> None:
        """Make the job of *claim*, and settle it whatever happens."""
        job, most = claim.job, self._settings.max_retries + 1
        if job.tries > most:
            await self._put_aside(claim, job.reason or _LOST)
            return
        if self._stopping or not self._settings.may_begin():
            await self._call(self._queue.release, claim)
            return
        making = Deferred.fromCoroutine(self._make(job, claim.traceparent))
        self._under_way[claim] = making
        try:
            await making
        except CancelledError:
            await self._call(self._queue.release, claim)
            return
        except JobFailed as error:
            failed = error
        except Exception:
            self.log.failure("an unexpected error kept {path} from being made", path=logged_target(job.path))
            failed = JobFailed(f"unexpected error: {Failure().getErrorMessage()}", again=True)
        else:
            if await self._call(self._queue.done, claim):
                self._observer.prerendered("done")
            return
        finally:
            del self._under_way[claim]
        if failed.again and job.tries < most:
            await self._call(self._queue.again, claim, failed.reason, backoff(job.tries))
            self._observer.prerendered("retried")
        else:
            await self._put_aside(claim, failed.reason, failed.request_id)

    async def _put_aside(self, claim: Claim, reason: str, request_id: str = "") -> None:
        await self._call(self._queue.put_aside, claim, reason)
        self._observer.prerendered("failed")
        self.log.warn(
            "cannot make {path} beforehand: {reason}; `imgforge render retry` tries it again",
            path=logged_target(claim.job.path),
            reason=reason,
            request_id=request_id,
        )

    def _renew(self) -> Deferred[None] | None:
        if not self._under_way:
            return None
        return self._call(self._queue.renew, list(self._under_way), _LEASE).addErrback(self._not_renewed)

    def _not_renewed(self, failure: Failure) -> None:
        failure.trap(QueueFailed)  # the loops say so
