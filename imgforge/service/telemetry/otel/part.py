"""OpenTelemetry in a serving process: what observes requests, the log and the metrics, and the service that sends.

Exporters and what batches for them have threads: they are made when the service starts. What is made here has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from twisted.logger import globalLogPublisher

from imgforge import __version__
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import IRequestObserver, Metrics, RequestRecord, parse_level_spec
from imgforge.service.telemetry import Telemetry
from imgforge.service.telemetry.otel.destinations import (
    certificates_of,
    destinations,
    protocol_of,
    receivers,
    resource_attributes,
)
from imgforge.service.telemetry.otel.exporter_faults import ExporterFaults
from imgforge.service.telemetry.otel.exporters import make_exporter
from imgforge.service.telemetry.otel.hit_spans import HitSpans, gaps
from imgforge.service.telemetry.otel.request_tracer import RequestTracer
from imgforge.service.telemetry.otel.sampling import heeds_parents, hit_ratio, is_custom
from imgforge.service.telemetry.otel.sdk import make_id_generator, make_provider, make_resource, propagator
from imgforge.service.telemetry.otel.sending import Sending, Stop
from imgforge.web import HitSampling

if TYPE_CHECKING:
    from imgforge.service.telemetry.otel.measurements import Measurements

__all__ = ["make"]

_SCOPE = "imgforge"
_METRICS_INTERVAL = 10_000.0  # milliseconds, as in imgproxy


def make(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """See `Part`."""
    resource = make_resource(resource_attributes(settings, os.environ))
    processors = SynchronousMultiSpanProcessor()
    provider = make_provider(resource, make_id_generator(settings.open_telemetry_trace_id_generator), processors)
    tracer = RequestTracer(
        provider.get_tracer(_SCOPE, __version__),
        propagator(),
        propagates=settings.propagates_traces,
    )
    ExporterFaults(receivers(settings, os.environ)).install()
    observers: list[IRequestObserver] = [tracer]
    starts: list[Callable[[], Iterator[Stop]]] = [partial(_start_traces, settings, processors)]
    if settings.open_telemetry_enable and settings.open_telemetry_enable_metrics:
        from imgforge.service.telemetry.otel.measurements import Measurements

        measurements = Measurements(metrics.registry, settings.prometheus_namespace)
        observers.append(measurements)
        starts.append(partial(_start_metrics, settings, resource, measurements))
    if settings.open_telemetry_enable and settings.open_telemetry_enable_logs:
        starts.append(partial(_start_logs, settings, resource))
    hits = HitSpans(provider, processors, partial(_show_traced_hit, metrics), asks=is_custom(os.environ))
    parents = heeds_parents(os.environ) and "traceparent" in propagator().fields
    sampling = HitSampling(gaps(hit_ratio(os.environ)), hits.note, parents=parents)
    return Telemetry(observers, (Sending(reactor, starts),), hit_sampling=sampling)


def _show_traced_hit(metrics: Metrics, record: RequestRecord) -> None:
    metrics.traced(record)
    if metrics.imgproxy is not None:
        metrics.imgproxy.traced_hit(record.duration, record.trace_id)


def _start_traces(settings: Settings, processors: SynchronousMultiSpanProcessor) -> Iterator[Stop]:
    for destination in destinations(settings, os.environ):
        exporter = make_exporter(
            "traces",
            destination.protocol,
            endpoint=destination.endpoint,
            headers=destination.headers,
            certificates=certificates_of(settings),
        )
        processor = BatchSpanProcessor(exporter)
        processors.add_span_processor(processor)
        yield processor.shutdown


def _start_metrics(settings: Settings, resource: Resource, measurements: Measurements) -> Iterator[Stop]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = make_exporter("metrics", protocol_of(os.environ, "metrics"), certificates=certificates_of(settings))
    interval = None if os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") else _METRICS_INTERVAL
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=interval)
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    measurements.begin(provider.get_meter(_SCOPE, __version__))
    yield provider.shutdown


def _start_logs(settings: Settings, resource: Resource) -> Iterator[Stop]:
    # The SDK's logs have no public names yet.
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from imgforge.service.telemetry.otel.log_records import LogRecords

    exporter = make_exporter("logs", protocol_of(os.environ, "logs"), certificates=certificates_of(settings))
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    levels = parse_level_spec(os.environ.get("OTEL_LOG_LEVEL") or settings.log_level)
    observer = LogRecords(provider.get_logger(settings.open_telemetry_logger_name), levels)
    globalLogPublisher.addObserver(observer)

    def stop() -> None:
        globalLogPublisher.removeObserver(observer)
        provider.shutdown()

    yield stop
