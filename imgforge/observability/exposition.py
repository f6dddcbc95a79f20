"""The metrics as text: in Prometheus' own format, or in OpenMetrics, which has exemplars besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from imgforge.observability.exemplars import with_exemplars

__all__ = ["exposed", "gauges_of", "values_of_all"]


class _Exemplified(Collector):
    """What *registry* collects, with exemplars."""

    def __init__(self, registry: CollectorRegistry, exemplars: Mapping[Any, Any]) -> None:
        self._registry = registry
        self._exemplars = exemplars

    def collect(self) -> Iterable[Metric]:
        return with_exemplars(self._registry.collect(), self._exemplars)


def values_of_all(directory: str) -> CollectorRegistry:
    """The values that all processes have written to *directory*, added up."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)
    return registry


def exposed(registry: CollectorRegistry, exemplars: Mapping[Any, Any] | None = None) -> tuple[bytes, str]:
    """The metrics of *registry* and their content type: OpenMetrics where *exemplars* are given, else Prometheus'."""
    if exemplars is None:
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return openmetrics.generate_latest(_Exemplified(registry, exemplars)), openmetrics.CONTENT_TYPE_LATEST


def gauges_of(registry: CollectorRegistry, prefix: str) -> Mapping[str, float]:
    """The gauges without labels whose names begin with *prefix*, by the rest of their names."""
    return {
        family.name.removeprefix(prefix): family.samples[0].value
        for family in registry.collect()
        if family.type == "gauge" and family.name.startswith(prefix) and family.samples and not family.samples[0].labels
    }
