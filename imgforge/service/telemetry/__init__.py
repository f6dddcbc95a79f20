"""What a serving process tells others of its requests: each part is a row of `PARTS`, imported only where it is on.

Workers are forked from a template process, and end by `os._exit`: a part starts its threads and its library in the
start of a service, which is after the fork, and sends what is left in its stop, in three seconds at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import NamedTuple

from twisted.application.service import IService

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import IRequestObserver, Metrics

__all__ = ["PARTS", "Part", "Telemetry", "make_telemetry"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who observes requests, and the services that send what they note: they stop after the last request."""

    observers: Sequence[IRequestObserver] = field(default=())
    services: Sequence[IService] = field(default=())


class Part(NamedTuple):
    """Whether the settings switch a part on, and its module, with `make(reactor, settings, metrics) -> Telemetry`."""

    is_on: Callable[[Settings], bool]
    module: str


PARTS: tuple[Part, ...] = (
    Part(lambda settings: settings.prometheus_imgproxy_names, "imgforge.service.telemetry.imgproxy_names"),
    Part(lambda settings: settings.sends_datadog_metrics, "imgforge.service.telemetry.datadog_metrics"),
    Part(lambda settings: bool(settings.cloud_watch_service_name), "imgforge.service.telemetry.cloud_watch"),
)


def make_telemetry(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """All parts that *settings* switch on."""
    parts: list[Telemetry] = [
        import_module(part.module).make(reactor, settings, metrics) for part in PARTS if part.is_on(settings)
    ]
    return Telemetry(
        tuple(observer for part in parts for observer in part.observers),
        tuple(service for part in parts for service in part.services),
    )
