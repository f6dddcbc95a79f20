"""What a server sends over OTLP is what the OpenTelemetry Collector's own receiver takes, over HTTP and gRPC."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support.pictures import encode, gradient
from tests.support.process import Origin, Twistd, free_port, listens, wait_for
from tests.support.service_case import ServiceCase
from tests.support.store_programs import store_program


class CollectorTests(ServiceCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-collector-")
        self.addCleanup(scratch.cleanup)
        self.printed = Path(scratch.name, "printed")
        self.grpc, self.http = free_port(), free_port()
        with self.printed.open("wb") as output:
            command = [store_program("otlp-receiver"), str(self.grpc), str(self.http)]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for(lambda: listens(self.grpc) and listens(self.http), "the collector")
        self.origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(self.origin.close)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """The scopes of what the collector has printed: resourceSpans, resourceMetrics or resourceLogs."""
        lines = [json.loads(line) for line in self.printed.read_text().splitlines(keepends=True) if line.endswith("\n")]
        scopes = {"resourceSpans": "scopeSpans", "resourceMetrics": "scopeMetrics", "resourceLogs": "scopeLogs"}
        return [scope for line in lines for resource in line.get(kind, ()) for scope in resource[scopes[kind]]]

    def test_it_takes_traces_metrics_and_logs(self) -> None:
        for protocol, port in (("http/protobuf", self.http), ("grpc", self.grpc)):
            server = Twistd(
                {"PROCESSES": "1", "ALLOW_UNSIGNED": "true", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
                | {f"OPEN_TELEMETRY_ENABLE{signal}": "true" for signal in ("", "_METRICS", "_LOGS")},
                environment={
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                },
            )
            self.addCleanup(server.clean)
            before = [len(self.sent(kind)) for kind in ("resourceSpans", "resourceMetrics", "resourceLogs")]
            server.start()
            path = f"/unsafe/w:9/plain/{self.origin.url('/a.png')}"
            self.assertEqual(server.get(path, {"X-Request-ID": protocol.replace("/", "-")}).status, 200)
            server.stop()  # which sends what is left
            spans = [span for scope in self.sent("resourceSpans")[before[0] :] for span in scope["spans"]]
            (root,) = [span for span in spans if span["name"] == "/request"]
            self.assertEqual({span["traceId"] for span in spans}, {root["traceId"]})
            names = {span["name"] for span in spans}
            self.assertGreaterEqual(names, {"queue", "downloading_source_image", "processing_image", "encode"})
            self.assertIn({"key": "http.status_code", "value": {"intValue": "200"}}, root["attributes"])
            metrics = {one["name"] for scope in self.sent("resourceMetrics")[before[1] :] for one in scope["metrics"]}
            self.assertGreaterEqual(metrics, {"requests_total", "workers", "vips_memory_bytes"})
            logs = [one for scope in self.sent("resourceLogs")[before[2] :] for one in scope["logRecords"]]
            self.assertTrue(any("listening on" in one["body"]["stringValue"] for one in logs), logs)
