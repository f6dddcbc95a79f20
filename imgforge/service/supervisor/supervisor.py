"""The parent of several processes: it opens the listeners, has workers serve them, and reloads when told to.

It watches (`worker_pool`) and replaces (`reload`) the workers, and serves the metrics' own listeners itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from imgforge.config import Settings
from imgforge.observability import Metrics
from imgforge.service.metrics_listener import metrics_site
from imgforge.service.net.listeners import Listener, adopt
from imgforge.service.periodic import Background
from imgforge.service.platform.systemd import Notifier
from imgforge.service.supervisor.reload import Reloader
from imgforge.service.supervisor.worker_pool import Plan, WorkerPool
from imgforge.web import ImageSite

__all__ = ["Supervisor"]

_STATE_INTERVAL = 1.0  # seconds between two looks at what the metrics show of the parent


class Supervisor(Service):
    """Keeps so many *workers* running on *listeners*; *load* reads the configuration anew.

    *listening* is called when the first worker serves, *failed* when none can be started.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listeners: Sequence[Listener],
        *,
        workers: int,
        threads: int,
        metrics_directory: str,
        log_stream: TextIO | None,
        load: Callable[[], Settings],
        metrics_listeners: Sequence[Listener] = (),
        notifier: Notifier | None = None,
        listening: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._notifier = notifier or Notifier()
        self._reactor = reactor
        self._settings = settings
        self._metrics_listeners = metrics_listeners
        self._metrics = Metrics(namespace=settings.prometheus_namespace)
        self._ports: list[IListeningPort] = []
        self._site: ImageSite | None = None  # of the metrics' own listeners
        self._listening = listening
        self._failed = failed
        self._told_listening = self._told_ready = self._told_change = False
        self._pool = WorkerPool(
            reactor,
            Plan(settings, tuple(listeners), threads),
            workers,
            metrics_directory=metrics_directory,
            log_stream=log_stream,
            serves=self._worker_serves,
            restarts=self._worker_restarts,
            failed=self._give_up,
        )
        self._reloader = Reloader(self._pool, settings, load, self._notifier, self._configured, self._reloaded)
        self._observing = Background(reactor, _STATE_INTERVAL, self._observe, "the state of the parent cannot be seen")

    @property
    def grace(self) -> float:
        """Seconds that the stop may take."""
        return self._pool.plan.settings.time_to_stop

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        if self._metrics_listeners:
            self._site = metrics_site(self._reactor, self._settings, self._metrics)
            self._ports = [adopt(self._reactor, listener, self._site) for listener in self._metrics_listeners]
        self._reloaded(worked=True)
        self._observing.start(now=True)
        self._pool.start()
        self._notifier.watch(self._reactor, lambda: not any(worker.silent for worker in self._pool.workers))

    def stopService(self) -> Deferred[None]:
        """Stop the workers and wait for them."""
        super().stopService()
        self._observing.stop()
        for listener in (*self._pool.plan.listeners, *self._metrics_listeners):
            listener.socket.close()
        waits: list[Deferred[Any]] = [*self._pool.stop()]
        waits += [stopping for port in self._ports if (stopping := port.stopListening()) is not None]
        return DeferredList(waits).addCallback(lambda _: self._pool.close())

    def _observe(self) -> None:
        state = self._metrics.state
        state.update_process(children=False)  # workers count their own
        state.quarantined(self._pool.quarantined_sources)

    def _reloaded(self, *, worked: bool) -> None:
        """A reload has ended; the start counts as one."""
        self._metrics.state.reloaded(self._reactor.seconds(), worked=worked)

    def reload(self) -> None:
        """Have workers with the configuration as it is now take over."""
        self._reloader.reload()

    def _worker_serves(self) -> None:
        """One more worker serves: with the first the server is there, and ready when all do."""
        if not self._told_listening:
            self._told_listening = True
            self._listening()
        if not self._told_ready and sum(worker.serves for worker in self._pool.workers) >= self._pool.count:
            self._told_ready = True
            self._notifier.ready()

    def _worker_restarts(self) -> None:
        """A worker is started in the place of one that died."""
        self._metrics.worker_restarted()
        if not self._told_change and self._reloader.code_has_changed():
            self._told_change = True
            self.log.warn(
                "the code of imgforge has changed since the start, and workers that replace others run the new one: "
                "restart the server"
            )

    def _give_up(self, reason: str) -> None:
        """No worker can be started."""
        self.log.critical("imgforge cannot start: {reason}", reason=reason)
        self._failed()

    def _configured(self, settings: Settings) -> None:
        """All workers have *settings*; the secret and the headers of the metrics' own listeners may be others."""
        if self._site is not None:
            self._site.resource = metrics_site(self._reactor, settings, self._metrics).resource
