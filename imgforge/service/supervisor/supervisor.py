"""The supervisor of several worker processes: it watches (`worker_pool`) and replaces (`reload`) them.

It serves only the separate listeners of metrics itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.process import reapProcessHandlers
from twisted.logger import Logger

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.lifecycle import OrderedServices, PeriodicCall
from imgforge.service.net import Listener
from imgforge.service.platform import Notifier, reap_orphans
from imgforge.service.supervisor.launcher import Launcher
from imgforge.service.supervisor.reload import Reloader
from imgforge.service.supervisor.worker_pool import Plan, PoolOutput, WorkerPool

if TYPE_CHECKING:
    from imgforge.web import ImageSite

__all__ = ["Supervisor", "SupervisorParts"]

_STATE_INTERVAL = 1.0  # seconds between two updates of the supervisor's own gauges


@dataclass(frozen=True, slots=True)
class SupervisorParts:
    """What a `Supervisor` works with.

    `workers` is the number of processes, which `launcher` starts, `threads` that of render threads in each; `load`
    reads the configuration again. `on_listening` is called when the first worker serves, `on_failure` when none can be
    started.
    """

    listeners: Sequence[Listener]
    workers: int
    threads: int
    output: PoolOutput
    launcher: Launcher
    load: Callable[[], Deferred[Settings]]
    metrics_listeners: Sequence[Listener] = ()
    notifier: Notifier = field(default_factory=Notifier)
    on_listening: Callable[[], None] = lambda: None
    on_failure: Callable[[], None] = lambda: None


class Supervisor(OrderedServices):
    """Keeps workers running on listeners, and replaces them with a new configuration."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: Settings, parts: SupervisorParts) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._parts = parts
        self._metrics = Metrics(namespace=settings.prometheus_namespace)
        self._metrics_site: ImageSite | None = None
        self._has_listened = self._has_been_ready = self._has_warned_of_new_code = False
        plan = Plan(settings, tuple(parts.listeners), parts.threads)
        self._pool = WorkerPool(reactor, parts.launcher, plan, parts.workers, parts.output, self)
        self._reloader = Reloader(self._pool, settings, parts.load, parts.notifier, self)
        self._add_services()

    def _add_services(self) -> None:
        """The order of the start; the stop goes from the last to the first."""
        # First: signs of life are sent until all else has stopped.
        self.addService(self._parts.notifier.watchdog(self._reactor, self._no_worker_is_silent))
        self.addService(self._pool)
        self.addService(
            PeriodicCall(self._reactor, _STATE_INTERVAL, self._observe, "the supervisor's gauges are not updated")
        )
        if self._parts.metrics_listeners:
            # Only then: with it this process has the web stack.
            from imgforge.service.listening import Listening
            from imgforge.service.metrics_listener import metrics_site

            self._metrics_site = metrics_site(self._reactor, self._settings, self._metrics)
            self.addService(Listening(self._reactor, self._parts.metrics_listeners, self._metrics_site))

    @property
    def grace(self) -> float:
        """Seconds that the stop may take."""
        return self._pool.plan.settings.time_to_stop

    def startService(self) -> None:
        """Start the workers."""
        self.reload_ended(worked=True)  # the start counts as one
        super().startService()

    def _no_worker_is_silent(self) -> bool:
        """Otherwise systemd gets no sign of life, and restarts the server."""
        return not any(worker.is_silent for worker in self._pool.workers)

    def _observe(self) -> None:
        state = self._metrics.state
        state.update_process(children=False)  # workers count their own
        state.workers(self._pool.count)
        state.quarantined(self._pool.quarantined_sources)
        if not self._reloader.is_loading:  # its thread waits for children, whose status it needs
            reap_orphans(reapProcessHandlers.__contains__)

    def reload(self) -> None:
        """Replace the workers by workers with the configuration as it is now."""
        self._reloader.reload()

    def worker_serves(self) -> None:
        """See `PoolObserver`: the server listens with the first worker, and is ready with all."""
        if not self._has_listened:
            self._has_listened = True
            self._parts.on_listening()
        serving = sum(worker.has_served for worker in self._pool.workers)
        if not self._has_been_ready and serving >= self._pool.count:
            self._has_been_ready = True
            self._parts.notifier.ready()

    def worker_restarts(self) -> None:
        """See `PoolObserver`."""
        self._metrics.worker_restarted()
        if not self._has_warned_of_new_code and self._reloader.code_has_changed():
            self._has_warned_of_new_code = True
            self.log.warn(
                "the code of imgforge has changed since the start, and workers that replace others run the new code: "
                "restart the server"
            )

    def no_worker_starts(self, reason: str) -> None:
        """See `PoolObserver`."""
        self.log.critical("imgforge cannot start: {reason}", reason=reason)
        self._parts.on_failure()

    def reload_ended(self, *, worked: bool) -> None:
        """See `ReloadObserver`."""
        self._metrics.state.reloaded(self._reactor.seconds(), worked=worked)

    def configuration_changed(self, settings: Settings) -> None:
        """See `ReloadObserver`: secret and headers of the metrics' listeners may have changed."""
        if self._metrics_site is not None:
            from imgforge.service.metrics_listener import metrics_site

            self._metrics_site.resource = metrics_site(self._reactor, settings, self._metrics).resource
