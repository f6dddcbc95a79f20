"""A process that serves requests on open sockets, from its start to its last response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

import imgforge.error_catalogue  # noqa: F401  ready for an error that comes when no descriptor is left to import it
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.assembly import Application, ApplicationParts
from imgforge.service.lifecycle import Component, OrderedServices
from imgforge.service.listening import Listening
from imgforge.service.metrics_listener import metrics_site
from imgforge.service.net import Listener, WorkerShare, epoll_group_usable
from imgforge.service.platform import Notifier
from imgforge.service.startup_report import summary

__all__ = ["ServingParts", "ServingProcess"]


@dataclass(frozen=True, slots=True)
class ServingParts:
    """What a `ServingProcess` works with.

    `share` compares this worker's connections with those of the others; `on_listening` is called when requests are
    accepted. One process of a server *announces* its versions and formats in the log.
    """

    listeners: Sequence[Listener]
    application: ApplicationParts
    metrics_listeners: Sequence[Listener] = ()
    share: WorkerShare | None = None
    notifier: Notifier = field(default_factory=Notifier)
    on_listening: Callable[[], None] = lambda: None
    announces: bool = False


class ServingProcess(OrderedServices):
    """Accepts connections while it runs; its stop closes the listeners first and lets requests finish."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: Settings, parts: ServingParts) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._parts = parts
        self._metrics: Metrics | None = None
        self._handing_over = False

    @property
    def grace(self) -> float:
        """Seconds that the stop may take."""
        return self._settings.time_to_stop

    def startService(self) -> None:
        """Build the application, after twistd has daemonized, and start to accept."""
        self._metrics = Metrics(namespace=self._settings.prometheus_namespace)
        if self._parts.application.processes == 1:  # otherwise the supervisor has this gauge
            self._metrics.state.reloaded(self._reactor.seconds(), worked=True)
        self._add_services(self._metrics)
        if self._parts.announces:
            application = self._parts.application
            for line in summary(self._settings, application.processes, application.threads):
                self.log.info("{line}", line=line)
        super().startService()
        self._reactor.callWhenRunning(self._report_ready)

    def _add_services(self, metrics: Metrics) -> None:
        """The order of the start; the stop goes from the last to the first."""
        self.addService(self._parts.notifier.watchdog(self._reactor, lambda: True))  # first: to the end of the stop
        application = Application(self._reactor, self._settings, metrics, self._parts.application)
        self.addService(application)
        if self._parts.metrics_listeners:
            site = metrics_site(self._reactor, self._settings, metrics)
            self.addService(Listening(self._reactor, self._parts.metrics_listeners, site, drains=self._drains))
        self.addService(
            Listening(
                self._reactor,
                self._parts.listeners,
                application.site,
                share=self._parts.share,
                grouped=self._settings.epoll_group and epoll_group_usable(self._reactor),
                drains=self._drains,
            )
        )

        def announce_stop() -> Deferred[None] | None:
            return ensureDeferred(application.announce_stop()) if self._drains() else None

        self.addService(Component("announcement of the stop", stop=announce_stop))

    def _drains(self) -> bool:
        return not self._handing_over

    def _report_ready(self) -> None:
        self._parts.on_listening()
        self._parts.notifier.ready()

    def hand_over(self) -> None:
        """A successor accepts connections: this worker ends without a shutdown delay, since the server goes on."""
        self._handing_over = True

    def reload(self) -> None:
        """Refuse SIGHUP: no other process could serve meanwhile."""
        self._parts.notifier.reloading()
        if self._metrics is not None:
            self._metrics.state.reloaded(self._reactor.seconds(), worked=False)
        self._parts.notifier.ready()
        self.log.warn("SIGHUP: with IMGFORGE_PROCESSES=1 a new configuration takes effect at the next start")
