"""One serving process: an application on sockets that are open already, from the start to the last answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge.config import Settings
from imgforge.observability import Metrics
from imgforge.pipeline import CrashTracker
from imgforge.service.assembly import Application
from imgforge.service.metrics_listener import metrics_site
from imgforge.service.net import Listener, WorkerShare, accept_waiting, adopt, epoll_group_usable
from imgforge.service.platform import Notifier

__all__ = ["ServingProcess"]

_ON_THE_WAY = 0.5  # seconds


class ServingProcess(Service):
    """Accepts connections while it runs; stopping closes the listeners first and lets requests finish.

    *share* is this process' among several that listen on the same sockets, *witness* is told what it works on;
    *listening* is called when requests are answered.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listeners: Sequence[Listener],
        *,
        threads: int,
        processes: int = 1,
        output: TextIO = sys.stdout,
        metrics_listeners: Sequence[Listener] = (),
        directory: str = "",
        share: WorkerShare | None = None,
        witness: CrashTracker | None = None,
        notifier: Notifier | None = None,
        listening: Callable[[], None] = lambda: None,
    ) -> None:
        self._notifier = notifier or Notifier()
        self._reactor = reactor
        self._settings = settings
        self._listeners = listeners
        self._metrics_listeners = metrics_listeners
        self._threads = threads
        self._processes = processes
        self._output = output
        self._directory = directory
        self._share = share
        self._witness = witness
        self._listening = listening
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
        if self._processes == 1:  # else it is the parent that knows
            metrics.state.reloaded(self._reactor.seconds(), worked=True)
        self._application = Application(
            self._reactor,
            self._settings,
            metrics,
            threads=self._threads,
            processes=self._processes,
            output=self._output,
            directory=self._directory,
            witness=self._witness,
        )
        self._application.start()
        site = self._application.factory
        grouped = self._settings.epoll_group and site.lane is not None and epoll_group_usable()
        self._ports = [
            adopt(self._reactor, listener, site, self._share, grouped=grouped) for listener in self._listeners
        ]
        if self._metrics_listeners:
            apart = metrics_site(self._reactor, self._settings, metrics)
            self._ports += [adopt(self._reactor, listener, apart) for listener in self._metrics_listeners]
        self._reactor.callWhenRunning(self._serves)
        self._notifier.watch(self._reactor, lambda: True)

    def _serves(self) -> None:
        self._listening()
        self._notifier.ready()

    def hand_over(self) -> None:
        """Another process is in this one's place: the server does not stop, so nobody is to turn away from it."""
        self._handing_over = True

    def reload(self) -> None:
        """There is nobody who could serve meanwhile."""
        self._notifier.reloading()
        if self._metrics is not None:
            self._metrics.state.reloaded(self._reactor.seconds(), worked=False)
        self._notifier.ready()
        self.log.warn("SIGHUP: with IMGFORGE_PROCESSES=1 a new configuration waits for the next start")

    def stopService(self) -> Deferred[None]:
        """Close the listeners, finish what is under way."""
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
        for listener, port in zip((*self._listeners, *self._metrics_listeners), ports, strict=True):
            if not self._handing_over:
                accept_waiting(self._reactor, listener, port)
            listener.socket.close()
        # What was accepted a moment ago has its request still on the way; on busy connections the next one is.
        application.factory.end_connections()
        if application.factory.connections:
            await deferLater(self._reactor, _ON_THE_WAY)
        await application.stop(self._settings.grace)
