"""Services that start in a given order and stop, one after another, in the reverse order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Component", "OrderedServices", "PeriodicCall"]


class OrderedServices(MultiService):
    """Starts its services in the order of `addService`, and stops them in the reverse order.

    Each one has stopped before the stop of the next begins; those of a `MultiService` all stop at once. A service that
    fails to stop is logged and does not keep the others running.
    """

    log = Logger()

    def stopService(self) -> Deferred[None]:
        """Stop the services; fires when the last one has stopped."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop_each())

    async def _stop_each(self) -> None:
        for service in reversed(list(self)):
            try:
                await maybeDeferred(service.stopService)
            except Exception:
                self.log.failure("{name} failed to stop", name=service.name or type(service).__name__)


class Component(Service):
    """The start and the stop of a part that is no `IService` itself; *stop* may return a Deferred."""

    def __init__(
        self, name: str, *, start: Callable[[], object] = lambda: None, stop: Callable[[], Any] = lambda: None
    ) -> None:
        self.name = name
        self._start = start
        self._stop = stop

    def startService(self) -> None:
        """Start the part."""
        super().startService()
        self._start()

    def stopService(self) -> Deferred[Any]:
        """Stop the part; fires when it has stopped."""
        super().stopService()
        return maybeDeferred(self._stop)


class PeriodicCall(Service):
    """Calls *work* at the start and then every *interval* seconds.

    When *work* raises, *complaint* is logged with the traceback, once until it works again; the calls go on. With
    *finally_too* there is one more call at the stop.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        work: Callable[[], None],
        complaint: str,
        *,
        finally_too: bool = False,
    ) -> None:
        self._interval = interval
        self._work = work
        self._complaint = complaint
        self._finally_too = finally_too
        self._failing = False
        self._loop = LoopingCall(self._call)
        self._loop.clock = clock

    def startService(self) -> None:
        """Begin the calls."""
        super().startService()
        self._loop.start(self._interval)

    def stopService(self) -> Deferred[None]:
        """End the calls."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        if self._finally_too:
            self._call()
        return succeed(None)

    def _call(self) -> None:
        try:
            self._work()
        except Exception:
            if not self._failing:
                self.log.failure("{complaint}", complaint=self._complaint)
            self._failing = True
        else:
            self._failing = False
