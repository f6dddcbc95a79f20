"""Reports of errors to Sentry, Bugsnag, Honeybadger and Airbrake.

    request ends ── reported_error? ── ReportRate ── report_of ──┬── SentryClient   (its library's thread)
                                                                 └── ReportQueue    one for each other service

Sentry has its own library. Those of the others start threads without bound, keep reports after their end by `atexit`
or ask for their settings over the network; what they send is one JSON object, which `payloads` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from zope.interface import implementer

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import IRequestObserver, Metrics, RequestRecord
from imgforge.service.telemetry import Telemetry
from imgforge.service.telemetry.reports import (
    Airbrake,
    Bugsnag,
    ErrorReport,
    ErrorService,
    Honeybadger,
    Payload,
    ReportMetrics,
    ReportQueue,
    ReportRate,
    Scrubber,
    report_of,
    reported_error,
)
from imgforge.service.telemetry.sentry_client import SentryClient
from imgforge.service.translation import source_settings
from imgforge.sources import OriginRequest, ServiceClient

__all__ = ["make"]


class Reporter(Protocol):
    """Sends reports, and does not wait for that."""

    def put(self, report: ErrorReport) -> None:
        """Sends *report*."""


@implementer(IRequestObserver)
class ErrorReports:
    """Reports the errors of requests to *reporters*."""

    def __init__(
        self, reporters: Iterable[Reporter], settings: Settings, counts: ReportMetrics, clock: Callable[[], float]
    ) -> None:
        self._reporters = tuple(reporters)
        self._downloading = settings.report_downloading_errors
        self._io = settings.report_io_errors
        self._scrub = Scrubber(settings.secret_texts)
        self._counts = counts
        self._rate = ReportRate(clock())
        self._headers: dict[RequestRecord, Callable[[bytes], bytes]] = {}  # of the requests in flight

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """See `IRequestObserver`."""
        self._headers[record] = header

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        header = self._headers.pop(record, _no_header)
        error = reported_error(record, downloading=self._downloading, io=self._io)
        if error is None:
            return
        host = record.source.partition("://")[2].partition("/")[0]
        repeated = self._rate.admit((type(error).__name__, str(error)[:100], host), record.ended)
        if repeated is None:
            self._counts.counted("suppressed")
            return
        report = report_of(error, record, header, self._scrub, repeated)
        for reporter in self._reporters:
            reporter.put(report)


def _no_header(_: bytes) -> bytes:
    return b""


def _error_services(settings: Settings) -> list[ErrorService]:
    services: list[ErrorService] = []
    if settings.bugsnag_key:
        services.append(Bugsnag(settings.bugsnag_key, settings.bugsnag_stage, settings.bugsnag_endpoint))
    if settings.honeybadger_key:
        services.append(Honeybadger(settings.honeybadger_key, settings.honeybadger_env, settings.honeybadger_endpoint))
    if settings.airbrake_project_key:
        services.append(
            Airbrake(
                settings.airbrake_project_id,
                settings.airbrake_project_key,
                settings.airbrake_environment,
                settings.airbrake_host,
            )
        )
    return services


class Reporters(MultiService):
    """The reporters, which stop at once; then the connections of *client* are closed."""

    def __init__(self, services: Iterable[IService], client: ServiceClient) -> None:
        super().__init__()
        self._client = client
        for service in services:
            self.addService(service)

    def stopService(self) -> Deferred[Any]:
        """Stop: it takes three seconds at most."""
        stopping: Deferred[Any] = super().stopService()
        return stopping.addBoth(lambda _: self._client.close())


def make(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """The observer of errors, and the service that has all reporters."""
    counts = ReportMetrics(metrics.registry, settings.prometheus_namespace)
    # Keys are sent over verified connections only, whatever the origins are like.
    client = ServiceClient(reactor, replace(source_settings(settings), ignore_ssl_verification=False))

    async def post(payload: Payload) -> int:
        request = OriginRequest(payload.url, payload.headers, body=payload.body, method="POST")
        return (await client.ask(request)).status

    reporters: list[ReportQueue | SentryClient] = [
        ReportQueue(reactor, service, post, counts) for service in _error_services(settings)
    ]
    if settings.sentry_dsn:
        reporters.append(SentryClient(reactor, settings, counts))
    observer = ErrorReports(reporters, settings, counts, reactor.seconds)
    return Telemetry((observer,), (Reporters(reporters, client),))
