"""The pipeline of a process that serves nothing: it makes images into the caches that servers share."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import blockingCallFromThread
from twisted.logger import globalLogBeginner

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.queue import RenderJob
from imgforge.service.application_log import ApplicationLog
from imgforge.service.assembly import Application, ApplicationParts
from imgforge.service.log_output import catch_uncaught
from imgforge.service.platform import tune_allocator
from imgforge.service.prerendering.rendition_maker import RenditionMaker

__all__ = ["RenderEngine", "ThreadedEngine"]

# The queue is for the worker around the engine, and nobody connects.
_OF_SERVERS = frozenset({"queue_path", "queue_url", "render_secret", "access_log", "prometheus_bind"})


class RenderEngine:
    """*threads* jobs at once in this process, one of *processes* that share the limits of the machine's memory."""

    def __init__(self, reactor: IServerReactor, settings: Settings, threads: int, processes: int = 1) -> None:
        kind, path = settings.prepare_cache()
        given = {name: value for name, value in settings.given.items() if name not in _OF_SERVERS}
        if kind in {"disk", "hybrid"}:  # a memory tier would serve nobody
            given |= {"cache_type": "disk", "cache_disk_path": path}
        self._application = Application(
            reactor,
            Settings.from_given(given),
            Metrics(),
            ApplicationParts(threads=threads, processes=processes, output=io.StringIO()),
        )

    @property
    def maker(self) -> RenditionMaker:
        """Makes the images."""
        return self._application.maker

    def start(self) -> None:
        """Start the caches and threads."""
        self._application.startService()

    def stop(self) -> Deferred[None]:
        """Stop; fires when everything is written."""
        return self._application.stopService()


class ThreadedEngine:
    """A `RenderEngine` with a reactor on a thread, for callers that block: Celery's workers."""

    def __init__(self, settings: Settings, threads: int, processes: int) -> None:
        from twisted.internet import reactor  # installs it: after the fork of this process

        tune_allocator()
        catch_uncaught()
        self._log = ApplicationLog(settings, sys.stderr)
        globalLogBeginner.beginLoggingTo(self._log.observers, redirectStandardIO=False)
        self._reactor = cast("IServerReactor", reactor)
        self._settings, self._threads, self._processes = settings, threads, processes
        self._engine: RenderEngine | None = None
        self._thread = threading.Thread(target=self._run, name="imgforge-reactor", daemon=True)

    def start(self) -> None:
        """Start the reactor and the engine; raises what the engine raises."""
        self._log.start()
        started = threading.Event()
        self._reactor.callWhenRunning(started.set)
        self._thread.start()
        started.wait()
        self._call(self._start)

    def _run(self) -> None:
        cast("Any", self._reactor).run(installSignalHandlers=False)

    def _start(self) -> None:
        self._engine = RenderEngine(self._reactor, self._settings, self._threads, self._processes)
        self._engine.start()

    def make(self, job: RenderJob, traceparent: str = "") -> None:
        """Make the image of *job*, whose request has the trace *traceparent*. Raises `JobFailed`."""
        self._call(lambda: ensureDeferred(self._started().maker.make(job, traceparent)))

    def _started(self) -> RenderEngine:
        if self._engine is None:
            raise RuntimeError("the engine has not been started")
        return self._engine

    def stop(self) -> None:
        """Stop the engine and the reactor; returns when everything is written."""
        if self._engine is not None:
            self._call(self._engine.stop)
        self._reactor.callFromThread(self._reactor.stop)
        self._thread.join(10)
        self._log.close()

    def _call(self, work: Callable[[], Any]) -> Any:
        return blockingCallFromThread(self._reactor, work)
