"""A receiver that is down does not fill the log."""

from __future__ import annotations

import logging

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.destinations import Receiver
from imgforge.service.telemetry.otel.exporter_faults import ExporterFaults
from tests.support.logged_lines import logged_lines

OTLP = "opentelemetry.exporter.otlp.proto"
BY_HTTP = (
    "Transient error HTTPConnectionPool(host='127.0.0.1', port=4318): Max retries exceeded with url: /v1/traces "
    "(Caused by NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=4318): Failed to establish a connection: "
    '[Errno 111] Connection refused")) encountered while exporting spans batch, retrying in 1.07s.'
)
BY_GRPC = (
    "Transient error StatusCode.UNAVAILABLE encountered while exporting logs to collector:4317, retrying in 1s. Error "
    "details: failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote "
    "host: Connection refused"
)
AGENT = Receiver("traces", "http://127.0.0.1:4318", "http/protobuf", ("OTEL_EXPORTER_OTLP_ENDPOINT", "DD_AGENT_HOST"))


class ExporterFaultsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.lines = Clock(), logged_lines(self)
        logger = logging.getLogger("opentelemetry")
        self.addCleanup(setattr, logger, "propagate", logger.propagate)
        self.addCleanup(logger.handlers.__setitem__, slice(None), list(logger.handlers))

    def warn(self, name: str, text: str) -> None:
        logging.getLogger(name).warning("%s", text)

    def test_a_receiver_has_a_line_a_minute_that_names_the_settings(self) -> None:
        ExporterFaults([AGENT], self.clock.seconds).install()
        for seconds in (0, 1, 58):
            self.clock.advance(seconds)
            self.warn(f"{OTLP}.http.trace_exporter", BY_HTTP)
        self.warn("opentelemetry.sdk._shared_internal", "Queue full, dropping Spans.")
        line = (
            "traces cannot be sent to http://127.0.0.1:4318 (OTEL_EXPORTER_OTLP_ENDPOINT, DD_AGENT_HOST): Connection "
            "refused; tried again"
        )
        self.assertEqual(self.lines, [line])
        self.clock.advance(1)
        self.warn(f"{OTLP}.http.trace_exporter", BY_HTTP)
        self.assertEqual(self.lines[1:], [f"{line} (and 3 times since the last line)"])

    def test_of_two_receivers_of_one_host_the_one_of_the_port_is_named(self) -> None:
        collector = Receiver("traces", "http://127.0.0.1:18950", "http/protobuf", ("OTEL_EXPORTER_OTLP_ENDPOINT",))
        ExporterFaults([collector, AGENT], self.clock.seconds).install()
        self.warn(f"{OTLP}.http.trace_exporter", BY_HTTP)
        self.assertIn("traces cannot be sent to http://127.0.0.1:4318 ", self.lines[0])
        self.warn(f"{OTLP}.http.trace_exporter", BY_HTTP.replace("4318", "18950"))
        self.assertIn("traces cannot be sent to http://127.0.0.1:18950 ", self.lines[1])

    def test_signals_to_one_receiver_share_the_line(self) -> None:
        one = ("OTEL_EXPORTER_OTLP_ENDPOINT",)
        collector = [Receiver(signal, "http://collector:4317", "grpc", one) for signal in ("traces", "metrics", "logs")]
        ExporterFaults([*collector, AGENT], self.clock.seconds).install()
        for signal in ("logs", "traces", "metrics"):
            self.warn(f"{OTLP}.grpc.exporter", BY_GRPC.replace("logs", signal))
        where = "http://collector:4317 (OTEL_EXPORTER_OTLP_ENDPOINT)"
        self.assertEqual(self.lines, [f"logs cannot be sent to {where}: Connection refused; tried again"])
        self.warn(f"{OTLP}.http.trace_exporter", BY_HTTP)
        self.assertIn("traces cannot be sent to http://127.0.0.1:4318 ", self.lines[1])
        self.clock.advance(60)
        self.warn(f"{OTLP}.http.metric_exporter", "Failed to export metrics batch code: 404, reason: Not Found")
        self.assertIn(f"metrics cannot be sent to {where}: Failed to export metrics batch code: 404, ", self.lines[2])

    def test_other_complaints_have_a_line_a_minute_of_each_logger_without_passwords(self) -> None:
        ExporterFaults([AGENT], self.clock.seconds).install()
        for _ in range(3):
            self.warn("opentelemetry.sdk.metrics", "no answer:\nhttp://me:hush@collector")
        self.warn("opentelemetry.sdk.logs", "no answer either")
        logging.getLogger("opentelemetry.sdk.other").info("nothing of note")
        self.assertEqual(
            self.lines, ["OpenTelemetry: no answer: http://***@collector", "OpenTelemetry: no answer either"]
        )
