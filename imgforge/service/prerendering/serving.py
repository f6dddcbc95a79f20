"""Pre-rendering in a serving process: its endpoints, its metrics, and a worker for the time in which it is idle.

The worker takes jobs of the embedded queue, one at a time, while no request is in flight. A request that causes work
stops the job under way, which goes back to the queue: nobody waits for an image that nobody has asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from imgforge.concurrency import ConcurrencyLimit
from imgforge.config import Settings
from imgforge.errors import QueueFailed
from imgforge.interfaces import IServerReactor
from imgforge.observability import PrerenderMetrics
from imgforge.service.lifecycle import Component, PeriodicCall
from imgforge.service.prerendering.intake import make_intake, make_queue
from imgforge.service.prerendering.rendition_maker import RenditionMaker
from imgforge.web import (
    EVENTS,
    EventsEndpoint,
    RateLimit,
    RenderEndpoint,
    RenderGate,
    RenderStatusEndpoint,
    Route,
    prerendering_off,
)

__all__ = ["Prerendering"]

_POLL = 1.0  # seconds between two looks into an empty queue
_QUIET = 0.5  # seconds without work for clients before a job begins
_OBSERVED = 10.0  # seconds between two looks at the lengths of the queue
_MOST_WAITING = 32  # requests to the queue at once


class _NoticedRateLimit(RateLimit):
    """A rate limit that calls *notice* for each request that is about to cause work."""

    def __init__(self, per_minute: float, clock: Callable[[], float], notice: Callable[[], None]) -> None:
        super().__init__(per_minute, clock)
        self._notice = notice

    def check(self) -> None:
        """Takes a token, as `RateLimit` does."""
        super().check()
        self._notice()


class Prerendering:
    """The parts of a serving process that have to do with the queue of *settings*."""

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        settings: Settings,
        maker: RenditionMaker,
        active: Callable[[], int],
        metrics: PrerenderMetrics,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._active = active
        self._metrics = metrics
        self._queue = make_queue(settings)
        self._pool = ThreadPool(0, 1, name="imgforge-queue-requests")
        self._limit = ConcurrencyLimit("prerender", _MOST_WAITING, message="too many requests to the queue at once")
        self._last_work = -_QUIET
        self._complained = False  # whether the log has the last line that the broker does not answer
        self._worker = self._make_worker(maker) if settings.queue_path else None

    def _make_worker(self, maker: RenditionMaker) -> Any:
        from imgforge.queue import EmbeddedQueue, EmbeddedWorker, WorkerSettings

        return EmbeddedWorker(
            self._reactor,
            EmbeddedQueue(self._settings.queue_path, durable=False),
            maker.make,
            WorkerSettings(max_retries=self._settings.queue_max_retries, poll=_POLL, may_begin=lambda: self._is_idle()),
            self._metrics,
        )

    def _is_idle(self) -> bool:
        return not self._active() and self._reactor.seconds() - self._last_work >= _QUIET

    def notice_work(self) -> None:
        """A client's request is about to cause work."""
        self._last_work = self._reactor.seconds()
        if self._worker is not None:
            self._worker.yield_now()

    def limit(self, per_minute: float, clock: Callable[[], float]) -> RateLimit:
        """A rate limit that notices the work of clients."""
        return _NoticedRateLimit(per_minute, clock, self.notice_work)

    def routes(self) -> list[Route]:
        """The endpoints, where there is a secret for them."""
        if not self._settings.render_secret:
            return prerendering_off()
        gate, intake = RenderGate(self._settings.render_secret), make_intake(self._settings)
        return [
            Route(
                b"/render", "/render", RenderEndpoint(gate, intake, self._queue, self._on_thread), methods=(b"POST",)
            ),
            Route(b"/render/", "/render/{id}", RenderStatusEndpoint(gate, self._queue, self._on_thread), prefix=True),
            Route(
                EVENTS, EVENTS.decode(), EventsEndpoint(gate, intake, self._queue, self._on_thread), methods=(b"POST",)
            ),
        ]

    def services(self) -> Sequence[IService]:
        """In the order of their start."""
        return [
            Component("requests to the queue", start=self._pool.start, stop=self._close),
            PeriodicCall(self._reactor, _OBSERVED, self._observe, "the gauges of the queue are not updated"),
        ]

    def workers(self) -> Sequence[IService]:
        """What stops before the last requests are answered."""
        worker = self._worker
        if worker is None:
            return []
        return [Component("pre-rendering", start=worker.start, stop=lambda: ensureDeferred(worker.stop()))]

    def _close(self) -> Deferred[None]:
        def close() -> None:
            self._pool.stop()
            self._queue.close()

        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), close)

    def _on_thread(self, work: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._limited(work, *arguments))

    async def _limited(self, work: Callable[..., Any], *arguments: object) -> Any:
        with self._limit.hold():
            return await deferToThreadPool(self._reactor, self._pool, work, *arguments)

    def _observe(self) -> None:
        if not self._limit.active:
            self._on_thread(self._queue.depth).addCallbacks(self._observed, self._not_observed)

    def _observed(self, depth: dict[str, int]) -> None:
        self._metrics.depth(depth)
        if self._complained:
            self._complained = False
            self.log.info("the broker of IMGFORGE_QUEUE_URL answers again")

    def _not_observed(self, failure: Failure) -> None:
        """Log it once, and leave the gauges as they were; of the embedded queue the worker says what is wrong."""
        failure.trap(QueueFailed)
        if self._worker is None and not self._complained:
            self._complained = True
            error: Any = failure.value
            self.log.error("{line}; it is tried again every {pause:g} s", line=error.logged, pause=_OBSERVED)
