"""Metrics by imgproxy's names (IMGFORGE_PROMETHEUS_IMGPROXY_NAMES): each request's record, counted."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import ImgproxyMetrics, IRequestObserver, Metrics, RequestRecord, error_type
from imgforge.service.telemetry import Telemetry
from imgforge.service.work_routes import WORK_ROUTES

__all__ = ["make"]


def make(_: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """The observer; hits of the fast lane and the gauges come by *metrics*."""
    metrics.imgproxy = ImgproxyMetrics(metrics.registry, metrics.exemplars, settings.prometheus_namespace)
    return Telemetry((ImgproxyNames(metrics.imgproxy),))


@implementer(IRequestObserver)
class ImgproxyNames:
    """Counts requests for images and for /info in *counts*."""

    def __init__(self, counts: ImgproxyMetrics) -> None:
        self._counts = counts

    def begun(self, record: RequestRecord, _: Callable[[bytes], bytes]) -> None:
        """Count the request."""
        if record.route in WORK_ROUTES:
            self._counts.begun()

    def ended(self, record: RequestRecord) -> None:
        """Count its duration, its steps, and what failed: the request, or what a fallback image stands for."""
        if record.route not in WORK_ROUTES:
            return
        self._counts.answered(record.duration, record.trace_id)
        self._counts.worked(record.work, record.trace_id)
        if kind := error_type(record):
            self._counts.failed(kind)
