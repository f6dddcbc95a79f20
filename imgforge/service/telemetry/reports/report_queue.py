"""Reports that wait to be sent to one service: few, one at a time, and longer pauses the longer the service fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from imgforge.config import mask_user_info
from imgforge.service.telemetry.reports.error_report import ErrorReport
from imgforge.service.telemetry.reports.payloads import ErrorService, Payload
from imgforge.service.telemetry.reports.report_metrics import ReportMetrics

__all__ = ["ReportQueue"]

_MOST_WAITING = 100
_LEAST_PAUSE, _MOST_PAUSE = 1.0, 60.0  # seconds
_STOP_PATIENCE = 2.5  # seconds for the reports that wait when the server stops

# Posts a report; returns the status of the response, and raises where there is none.
Post = Callable[[Payload], Awaitable[int]]


class ReportQueue(Service):
    """Sends reports by *post* to *service*; *counts* learns what became of each.

    A hundred reports may wait; further ones are dropped. While the service cannot be reached, a warning says so once.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, service: ErrorService, post: Post, counts: ReportMetrics) -> None:
        self.name = service.name
        self._clock = clock
        self._service = service
        self._post = post
        self._counts = counts
        self._waiting: deque[ErrorReport] = deque()
        self._sending: Deferred[None] | None = None
        self._pausing: Deferred[None] | None = None
        self._pause = 0.0

    def put(self, report: ErrorReport) -> None:
        """Sends *report* after those that wait."""
        if len(self._waiting) >= _MOST_WAITING:
            self._counts.counted("dropped")
            return
        self._waiting.append(report)
        if self._sending is None:
            self._sending = Deferred.fromCoroutine(self._send_all())

    def stopService(self) -> Deferred[None]:
        """Sends what waits, for 2.5 s at most; not to a service that fails at the moment."""
        super().stopService()
        if self._sending is None:
            return succeed(None)
        if self._pausing is not None:
            self._sending.cancel()
            return succeed(None)
        return self._sending.addTimeout(_STOP_PATIENCE, self._clock).addErrback(lambda _: None)

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                ok = await self._send(self._waiting.popleft())
                self._pause = 0.0 if ok else min(_MOST_PAUSE, 2 * self._pause or _LEAST_PAUSE)
                if not ok and self.running:
                    self._pausing = deferLater(self._clock, self._pause)
                    await self._pausing
                    self._pausing = None
        except CancelledError:
            self._counts.counted("dropped", len(self._waiting))
        finally:
            self._sending = None

    async def _send(self, report: ErrorReport) -> bool:
        try:
            status = await self._post(self._service.payload(report))
            why = f"it answered {status}"
        except CancelledError:
            self._counts.counted("failed")
            raise
        except Exception as error:
            status, why = 0, mask_user_info(str(error))
        ok = 200 <= status < 300
        self._counts.counted("sent" if ok else "failed")
        if not ok and not self._pause:
            self.log.warn(
                "an error report was not delivered to {name}: {line}; check its key and endpoint",
                name=self.name,
                line=why,
            )
        return ok
