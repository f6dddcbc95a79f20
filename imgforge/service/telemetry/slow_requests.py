"""Slow requests in the log (IMGFORGE_SLOW_REQUEST_SECONDS)."""

from __future__ import annotations

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics, SlowRequests
from imgforge.service.telemetry import Telemetry

__all__ = ["make"]


def make(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:  # noqa: ARG001
    """The observer that logs slow requests."""
    return Telemetry(observers=(SlowRequests(settings.slow_request_seconds),))
