"""Reports to Sentry by its library, which has a queue and a thread of its own, and obeys Sentry's rate limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge import __version__
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.service.telemetry.reports import ErrorReport, ReportMetrics, sentry_event

if TYPE_CHECKING:
    from sentry_sdk.transport import HttpTransport

__all__ = ["SentryClient"]

_STOP_PATIENCE = 2.5  # seconds for the reports that wait when the server stops
_MOST_WAITING = 100
_WARN_INTERVAL = 60.0  # seconds between two lines about reports that were not delivered
_QUEUE_FULL = "full_queue"  # the library's word for events beyond those that may wait


class SentryClient(Service):
    """Sends reports to the project of IMGFORGE_SENTRY_DSN.

    The library's integrations are off: it looks at nothing by itself, and gets finished events. A hundred may wait;
    it drops further ones. It tells which events it has not delivered, and nothing of the others: those that it took
    are counted as `taken`, and the ones of them that got lost as `failed` besides.
    """

    name = "sentry"
    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: Settings, counts: ReportMetrics) -> None:
        import sentry_sdk

        self._reactor = reactor
        self._counts = counts
        self._full = False  # whether the last event found no place
        self._warned = -_WARN_INTERVAL
        # Its thread starts with the first event.
        self._client = sentry_sdk.Client(
            dsn=settings.sentry_dsn,
            release=settings.sentry_release or f"imgforge@{__version__}",
            environment=settings.sentry_environment,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            include_local_variables=False,
            include_source_context=False,
            send_default_pii=False,
            max_breadcrumbs=0,
            ca_certs=settings.ca_file or None,
            transport=_transport(self._lost),
            transport_queue_size=_MOST_WAITING,
            shutdown_timeout=_STOP_PATIENCE,
        )

    def put(self, report: ErrorReport) -> None:
        """Hands *report* to the library."""
        event: object = sentry_event(report)
        self._full = False
        taken = self._client.capture_event(event)  # type: ignore[arg-type]  # its own TypedDict
        self._counts.counted("taken" if taken and not self._full else "dropped")

    def _lost(self, reason: str) -> None:
        """On any thread: an event is not delivered, because of *reason* in the library's words."""
        if reason == _QUEUE_FULL:  # said within `put`
            self._full = True
            return
        self._counts.counted("failed")
        now = time.monotonic()
        if now - self._warned >= _WARN_INTERVAL:
            self._warned = now
            self.log.warn(
                "an error report was not delivered to Sentry ({reason}); check IMGFORGE_SENTRY_DSN and the network",
                reason=reason,
            )

    def stopService(self) -> Deferred[None]:
        """Waits on a thread until the events are sent, for 2.5 s at most."""
        super().stopService()
        pool = self._reactor.getThreadPool()
        closing = deferToThreadPool(self._reactor, pool, self._client.close, timeout=_STOP_PATIENCE)
        closing.addTimeout(_STOP_PATIENCE + 0.5, self._reactor)
        return closing.addBoth(lambda _: succeed(None))


def _transport(lost: Callable[[str], None]) -> type[HttpTransport]:
    """The library's transport, which tells *lost* of each event that is not delivered, on its thread."""
    from sentry_sdk.transport import HttpTransport

    class Transport(HttpTransport):
        def on_dropped_event(self, reason: str) -> None:
            lost(reason)

    return Transport
