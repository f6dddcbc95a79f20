"""The end of a serving process for its clients: requests in flight finish, or are aborted after the grace.

listeners closed ──> requests still arrive (0.5 s) ──> in flight ──none left──> stopped
                                                          └──after the grace──> aborted ──> stopped, after 1 s at most
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge.service.startup_report import counted
from imgforge.web import ImageSite

__all__ = ["Drain"]

_ARRIVAL = 0.5  # seconds for requests that are still to arrive when the stop begins
_ABORT = 1.0  # seconds for the cleanup of aborted requests


class Drain(Service):
    """Stops once *site* is idle, or *grace* seconds after the last requests have arrived.

    *on_drain* is called when no more requests are expected. The listeners are closed before this service stops.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, site: ImageSite, grace: float, on_drain: Callable[[], None]) -> None:
        self._clock = clock
        self._site = site
        self._grace = grace
        self._on_drain = on_drain

    def stopService(self) -> Deferred[None]:
        """Let the requests in flight finish; fires when none is left, or the rest has been aborted."""
        super().stopService()
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        # Requests on connections that were accepted a moment ago are still to arrive, and the next ones on busy ones.
        self._site.end_connections()
        if self._site.connections:
            await deferLater(self._clock, _ARRIVAL)
        self._on_drain()
        self._site.close_idle()
        await self._idle_within(self._grace)
        unfinished = self._site.resource.active
        if not unfinished:
            return
        self.log.warn(
            "shutdown timed out after {seconds:g} s: {requests} aborted",
            seconds=self._grace,
            requests=counted(unfinished, "request"),
        )
        for connection in tuple(self._site.connections):
            connection.forceAbortClient()  # which cancels the fetches and stops libvips
        await self._idle_within(_ABORT)

    async def _idle_within(self, seconds: float) -> None:
        """Wait until no request is in flight and no connection is open, *seconds* at most."""
        try:
            await self._site.when_idle().addTimeout(seconds, self._clock)
        except defer.TimeoutError:
            return
