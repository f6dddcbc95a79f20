"""`imgforge render run`: a worker in a process of its own, until it is told to stop or the queue is empty."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from imgforge.config import Settings
from imgforge.errors import QueueFailed
from imgforge.service.application_log import ApplicationLog
from imgforge.service.log_output import catch_uncaught
from imgforge.service.platform import tune_allocator, usable_cpus
from imgforge.service.prerendering.sent_elsewhere import log_what_is_sent
from imgforge.service.prerendering.worker_processes import run_in_processes
from imgforge.service.prerendering.worker_report import WorkerReport

if TYPE_CHECKING:
    from imgforge.interfaces import IServerReactor

__all__ = ["WorkerReport", "run_worker"]

_REPORTED = 0.5  # seconds between two reports of progress
_ASKED = 0.5  # seconds between two looks at the broker


Show = Callable[[WorkerReport], None]


def run_worker(settings: Settings, concurrency: int, *, drains: bool, show: Show) -> WorkerReport:
    """Run a worker of the queue of *settings*, *concurrency* jobs at once; *show* is called with the progress.

    Raises `QueueFailed`, and `ImportError` with what to install.
    """
    return (_run_embedded if settings.queue_path else _run_celery)(settings, concurrency, drains, show)


def _run_embedded(settings: Settings, concurrency: int, drains: bool, show: Show) -> WorkerReport:
    """A process for each CPU that is to be used, with a share of the jobs at once."""
    log_what_is_sent(settings)
    processes = min(concurrency, usable_cpus())
    if processes == 1:
        report = WorkerReport()
        _run_process(settings, concurrency, 1, drains, show, report)
        return report
    shares = [concurrency // processes + (number < concurrency % processes) for number in range(processes)]
    return run_in_processes(
        [partial(_run_process, settings, share, processes, drains, lambda _report: None) for share in shares], show
    )


def _run_process(
    settings: Settings, concurrency: int, processes: int, drains: bool, show: Show, report: WorkerReport
) -> None:
    """A program of the reactor, with a pipeline, which is one of *processes*."""
    tune_allocator()
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred
    from twisted.internet.error import ReactorNotRunning
    from twisted.internet.task import LoopingCall
    from twisted.logger import globalLogBeginner
    from twisted.python.failure import Failure

    from imgforge.queue import EmbeddedQueue, EmbeddedWorker, WorkerSettings
    from imgforge.service.prerendering.render_engine import RenderEngine

    catch_uncaught()
    application_log = ApplicationLog(settings, sys.stderr)
    globalLogBeginner.beginLoggingTo(application_log.observers, redirectStandardIO=False)
    reactor: Any = installed
    faults = []
    engine = RenderEngine(cast("IServerReactor", reactor), settings, concurrency, processes)
    queue = EmbeddedQueue(settings.queue_path, durable=False)
    chosen = WorkerSettings(concurrency=concurrency, max_retries=settings.queue_max_retries, drains=drains)
    worker = EmbeddedWorker(reactor, queue, engine.maker.make, chosen, report)

    def ended(outcome: object) -> None:
        if isinstance(outcome, Failure):
            faults.append(outcome)
        # From now on a signal, which a failing process sends the others, has nothing to stop; one may be on its way.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        reactor.callFromThread(stop_reactor)

    def stop_reactor() -> None:
        with suppress(ReactorNotRunning):
            reactor.stop()

    async def stop() -> None:
        await worker.stop()
        await engine.stop()

    def start() -> None:
        engine.start()
        worker.start().addBoth(ended)
        LoopingCall(show, report).start(_REPORTED, now=False)

    reactor.callWhenRunning(application_log.start)
    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop()))
    try:
        reactor.run()
    finally:
        application_log.close()
    for failure in faults:
        failure.raiseException()


def _run_celery(settings: Settings, concurrency: int, drains: bool, show: Show) -> WorkerReport:
    """Celery's own worker; a thread looks at the broker meanwhile."""
    from imgforge.service.prerendering.intake import make_queue

    queue = make_queue(settings)
    from imgforge.queue import make_app

    report = WorkerReport()
    ended = threading.Event()
    before = queue.status(0)

    def watch() -> None:
        idle = 0
        while not ended.wait(_ASKED):
            try:
                now = queue.status(0)
            except QueueFailed:  # Celery says so, and waits for the broker
                continue
            for name in ("done", "failed"):
                report.outcomes[name] = max(0, getattr(now, name) - getattr(before, name))
            show(report)
            idle = idle + 1 if not now.pending and not now.running else 0
            if drains and idle > 1:  # a message may be on its way from one queue to another
                os.kill(os.getpid(), signal.SIGTERM)
                return

    watching = threading.Thread(target=watch, name="imgforge-queue", daemon=True)
    watching.start()
    level = _celery_level(settings)
    with _printing_to_stderr():
        make_app(settings).worker_main(
            ["--quiet", "worker", "--concurrency", str(concurrency), "--loglevel", level, "--without-gossip"]
        )
    ended.set()
    queue.close()
    return report


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Standard output is for the report: what Celery and its processes print goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _celery_level(settings: Settings) -> str:
    level = settings.log_level.partition(",")[0].upper()
    return level if level in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} else "WARNING"
