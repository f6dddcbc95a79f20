"""A process that serves requests on open sockets, from its start to its last response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.assembly import Application, ApplicationParts
from imgforge.service.metrics_listener import metrics_site
from imgforge.service.net import Listener, WorkerShare, accept_waiting, adopt, epoll_group_usable
from imgforge.service.platform import Notifier

__all__ = ["ServingParts", "ServingProcess"]

_ARRIVAL = 0.5  # seconds for requests that are still to arrive


@dataclass(frozen=True, slots=True)
class ServingParts:
    """What a `ServingProcess` works with.

    `share` compares this worker's connections with those of the others; `on_listening` is called when requests are
    accepted.
    """

    listeners: Sequence[Listener]
    application: ApplicationParts
    metrics_listeners: Sequence[Listener] = ()
    share: WorkerShare | None = None
    notifier: Notifier = field(default_factory=Notifier)
    on_listening: Callable[[], None] = lambda: None


class ServingProcess(Service):
    """Accepts connections while it runs; its stop closes the listeners first and lets requests finish."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: Settings, parts: ServingParts) -> None:
        self._reactor = reactor
        self._settings = settings
        self._parts = parts
        self._ports: list[IListeningPort] = []
        self._application: Application | None = None
        self._metrics: Metrics | None = None
        self._handing_over = False

    @property
    def grace(self) -> float:
        """Seconds that the stop may take."""
        return self._settings.time_to_stop

    def startService(self) -> None:
        """Build the application and start to accept."""
        super().startService()
        metrics = self._metrics = Metrics(namespace=self._settings.prometheus_namespace)
        if self._parts.application.processes == 1:  # otherwise the supervisor has this gauge
            metrics.state.reloaded(self._reactor.seconds(), worked=True)
        self._application = Application(self._reactor, self._settings, metrics, self._parts.application)
        self._application.start()
        site = self._application.factory
        grouped = self._settings.epoll_group and site.lane is not None and epoll_group_usable()
        self._ports = [
            adopt(self._reactor, listener, site, self._parts.share, grouped=grouped)
            for listener in self._parts.listeners
        ]
        if self._parts.metrics_listeners:
            own_site = metrics_site(self._reactor, self._settings, metrics)
            self._ports += [adopt(self._reactor, listener, own_site) for listener in self._parts.metrics_listeners]
        self._reactor.callWhenRunning(self._report_ready)
        self._parts.notifier.watch(self._reactor, lambda: True)

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

    def stopService(self) -> Deferred[None]:
        """Close the listeners, and let requests under way finish."""
        super().stopService()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        application = self._application
        if application is None:
            return
        if not self._handing_over:
            await application.announce_stop(self._settings.shutdown_delay)
        ports, self._ports = self._ports, []
        await DeferredList([stopping for port in ports if (stopping := port.stopListening()) is not None])
        for listener, port in zip((*self._parts.listeners, *self._parts.metrics_listeners), ports, strict=True):
            if not self._handing_over:
                accept_waiting(self._reactor, listener, port)
            listener.socket.close()
        # Requests on connections that were accepted a moment ago are still to arrive, and the next ones on busy ones.
        application.factory.end_connections()
        if application.factory.connections:
            await deferLater(self._reactor, _ARRIVAL)
        await application.stop(self._settings.grace)
