"""What a serving process tells others of its requests: each part is a row of `PARTS`, imported only where it is on.

Workers are forked from a template process, and end by `os._exit`: a part starts its threads and its library in the
start of a service, which is after the fork, and sends what is left in its stop, in three seconds at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from twisted.application.service import IService, MultiService

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import IRequestObserver, Metrics

if TYPE_CHECKING:
    from imgforge.web import HitSampling, Route, TargetHits

__all__ = ["PARTS", "Part", "Telemetry", "make_telemetry", "propagated_names", "sent_lines", "telemetry_mistakes"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who observes requests, and the services that send what they note: they stop after the last request.

    `routes` are paths that show what was noted; `hit_observers` are told of the fast lane's hits, by target;
    `hit_sampling` notes some of them, each by itself.
    """

    observers: Sequence[IRequestObserver] = field(default=())
    services: Sequence[IService] = field(default=())
    routes: Sequence[Route] = field(default=())
    hit_observers: Sequence[Callable[[Iterable[TargetHits]], None]] = field(default=())
    hit_sampling: HitSampling | None = None

    def sending(self) -> MultiService:
        """The services; all of them stop at the same time, as each may take three seconds."""
        sending = MultiService()
        for service in self.services:
            sending.addService(service)
        return sending


class Part(NamedTuple):
    """Whether the settings switch a part on, and its module, with `make(reactor, settings, metrics) -> Telemetry`."""

    is_on: Callable[[Settings], bool]
    module: str


PARTS: tuple[Part, ...] = (
    Part(lambda settings: settings.sends_traces, "imgforge.service.telemetry.otel.part"),
    Part(lambda settings: settings.prometheus_imgproxy_names, "imgforge.service.telemetry.imgproxy_names"),
    Part(lambda settings: settings.sends_datadog_metrics, "imgforge.service.telemetry.datadog_metrics"),
    Part(lambda settings: bool(settings.cloud_watch_service_name), "imgforge.service.telemetry.cloud_watch"),
    Part(lambda settings: settings.reports_errors, "imgforge.service.telemetry.error_reports"),
    Part(lambda settings: settings.slow_request_seconds > 0, "imgforge.service.telemetry.slow_requests"),
    Part(lambda settings: settings.shows_top, "imgforge.service.telemetry.top_tables"),
)


def make_telemetry(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """All parts that *settings* switch on."""
    parts: list[Telemetry] = [
        import_module(part.module).make(reactor, settings, metrics) for part in PARTS if part.is_on(settings)
    ]
    return Telemetry(
        tuple(observer for part in parts for observer in part.observers),
        tuple(service for part in parts for service in part.services),
        tuple(route for part in parts for route in part.routes),
        tuple(observer for part in parts for observer in part.hit_observers),
        next((part.hit_sampling for part in parts if part.hit_sampling is not None), None),
    )


def telemetry_mistakes(settings: Settings) -> Iterator[str]:
    """One line for each mistake in the settings of a part that is on: a library that is missing, a variable."""
    if settings.sends_traces:
        from imgforge.service.telemetry.otel.setting_mistakes import otel_mistakes

        yield from otel_mistakes(settings)


def propagated_names(settings: Settings) -> tuple[str, ...]:
    """The headers, in lower case, by which a client's trace goes on to web origins; none where it does not."""
    if not settings.propagates_traces:
        return ()
    from imgforge.service.telemetry.otel.sdk import propagator

    return tuple(sorted(name.lower() for name in propagator().fields))


def sent_lines(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """A line for the log at the start that says what goes where; none where nothing is sent."""
    from imgforge.service.telemetry.sent import sent_lines as lines

    return lines(settings, environ)
