"""Metrics over OTLP under imgproxy's names: views of the process's Prometheus metrics and of the requests' records.

Counters and gauges are read from the metrics that the process has anyway, on the thread that sends them. Histograms see
the requests that have records; hits of the fast lane are in the counters only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from prometheus_client import CollectorRegistry
from zope.interface import implementer

from imgforge.observability import IRequestObserver, RequestRecord, error_type
from imgforge.service.telemetry.otel.request_tracer import SPAN_NAMES
from imgforge.service.work_routes import WORK_ROUTES

__all__ = ["Measurements"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_REQUESTS = "http_requests_duration_seconds"
_STATUSES = "status_codes_total"
_WORKERS = "image_operation_concurrency_limit"
_IN_PROGRESS = "requests_in_progress"


class _Gauge(NamedTuple):
    """A gauge of imgproxy's and the one of ours that has its value."""

    name: str
    ours: str
    unit: str
    text: str


_GAUGES = (
    _Gauge("workers", _WORKERS, "1", "Images that may be processed at once."),
    _Gauge("requests_in_progress", _IN_PROGRESS, "1", "Requests that are being answered."),
    _Gauge("images_in_progress", "images_in_progress", "1", "Images that are processed or wait for a thread."),
    _Gauge("vips_memory_bytes", "vips_memory_bytes", "By", "Memory that libvips has in use."),
    _Gauge("vips_max_memory_bytes", "vips_memory_highwater_bytes", "By", "The most memory that libvips had in use."),
    _Gauge("vips_allocs", "vips_allocations", "1", "Allocations of libvips that are in use."),
    _Gauge("process_resident_memory_bytes", "process_resident_memory_bytes", "By", "Resident memory."),
    _Gauge("process_virtual_memory_bytes", "process_virtual_memory_bytes", "By", "Virtual memory."),
)


@implementer(IRequestObserver)
class Measurements:
    """Makes the instruments of a meter, which read *registry*, whose names begin with *namespace*; sees requests."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self._registry = registry
        self._prefix = f"{namespace}_" if namespace else ""
        self._errors: dict[str, int] = {}
        self._observe: Callable[[RequestRecord], None] = lambda _: None

    def begin(self, meter: Meter) -> None:
        """Make the instruments."""

        def counter(name: str, text: str, read: Callable[[], Iterable[Observation]]) -> None:
            meter.create_observable_counter(name, [lambda _: read()], "1", text)

        counter("requests_total", "Requests for images and facts of images.", self._requests)
        counter("status_codes_total", "Answers by status.", self._statuses)
        counter("errors_total", "Requests that failed, by kind.", self._failures)
        for gauge in _GAUGES:
            meter.create_observable_gauge(gauge.name, [self._reader(gauge.ours)], gauge.unit, gauge.text)
        meter.create_observable_gauge(
            "workers_utilization", [self._utilization], "%", "Requests that are being answered, in percent of workers."
        )
        durations, spans = (
            meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=_SECONDS)
            for name, text in (
                ("request_duration_seconds", "Time to answer a request."),
                ("request_span_duration_seconds", "Time that a part of a request took."),
            )
        )

        def observe(record: RequestRecord) -> None:
            durations.record(max(0.0, record.duration))
            for step in record.steps:
                name = SPAN_NAMES.get(step.name, str(step.name))
                spans.record(max(0.0, step.ended - step.began), {"span": name})

        self._observe = observe

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """See `IRequestObserver`."""

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        if record.route not in WORK_ROUTES:
            return
        if kind := error_type(record):
            self._errors[kind] = self._errors.get(kind, 0) + 1
        self._observe(record)

    def _samples(self, *names: str) -> Iterable[tuple[str, dict[str, str], float]]:
        """Name, labels and value of the samples with these names."""
        wanted = [self._prefix + name for name in names]
        for family in self._registry.restricted_registry(wanted).collect():
            for sample in family.samples:
                yield sample.name.removeprefix(self._prefix), sample.labels, sample.value

    def _requests(self) -> Iterable[Observation]:
        counted = self._samples(f"{_REQUESTS}_count")
        yield Observation(int(sum(value for _, labels, value in counted if labels["path"] in WORK_ROUTES)))

    def _statuses(self) -> Iterable[Observation]:
        for _, labels, value in self._samples(_STATUSES):
            yield Observation(int(value), {"status": labels["status"]})

    def _failures(self) -> Iterable[Observation]:
        for kind, count in list(self._errors.items()):
            yield Observation(count, {"type": kind})

    def _reader(self, ours: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: [Observation(value) for _, _, value in self._samples(ours)]

    def _utilization(self, _: CallbackOptions) -> Iterable[Observation]:
        found = {name: value for name, _, value in self._samples(_WORKERS, _IN_PROGRESS)}
        workers = found.get(_WORKERS, 0)
        if workers:
            yield Observation(found.get(_IN_PROGRESS, 0) / workers * 100)
