"""Receivers of OTLP on loopback: what a server sends of its traces, metrics and logs, decoded."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.support.loopback_server import LoopbackServer, QuietHandler

__all__ = ["GrpcReceiver", "HttpReceiver", "SentSpan", "values"]


class SentSpan(NamedTuple):
    """A span as a receiver has it; ids in hexadecimal, times in nanoseconds."""

    name: str
    trace: str
    identity: str
    parent: str  # "" for none
    kind: int
    began: int
    ended: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    failed: bool
    resource: dict[str, Any]
    links: list[tuple[str, str]]  # trace and span


def values(pairs: Iterable[Any]) -> dict[str, Any]:
    """OTLP's attributes as a dict."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in pairs}


def _spans(message: Any) -> list[SentSpan]:
    return [
        SentSpan(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            values(span.attributes),
            [(event.name, values(event.attributes)) for event in span.events],
            span.status.code == 2,
            values(resource.resource.attributes),
            [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


class HttpReceiver(LoopbackServer):
    """Receives OTLP over http/protobuf; `sent` has the bodies as they came."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[SentSpan] = []
        self.metrics: list[tuple[str, dict[str, Any], Any]] = []  # name, attributes, data point
        self.logs: list[Any] = []
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.wait()
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.sent.append(body)
                _TAKERS[self.path](receiver, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a server's spans here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.host}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
        }

    def take_spans(self, body: bytes) -> None:
        self.spans += _spans(ExportTraceServiceRequest.FromString(body))

    def take_metrics(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data") or "gauge")
                    self.metrics += [(metric.name, values(point.attributes), point) for point in data.data_points]

    def take_logs(self, body: bytes) -> None:
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                self.logs += scope.log_records

    def roots(self) -> list[SentSpan]:
        """The spans of requests."""
        return [span for span in self.spans if span.name == "/request"]

    def tree(self, root: SentSpan) -> dict[str, SentSpan]:
        """All spans of the trace of *root*, by name."""
        return {span.name: span for span in self.spans if span.trace == root.trace}


_TAKERS = {
    "/v1/traces": HttpReceiver.take_spans,
    "/v1/metrics": HttpReceiver.take_metrics,
    "/v1/logs": HttpReceiver.take_logs,
}


class GrpcReceiver(TraceServiceServicer):
    """Receives traces over gRPC; with *credentials* over TLS."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.spans: list[SentSpan] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)
        if credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def Export(self, request: Any, context: Any) -> Any:
        """Take spans."""
        self.spans += _spans(request)
        return ExportTraceServiceResponse()

    def close(self) -> None:
        self._server.stop(None)
