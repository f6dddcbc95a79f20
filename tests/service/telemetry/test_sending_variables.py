"""Variables of the exporters that the SDK would refuse in every worker."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.telemetry.otel.destinations import GRPC, HTTP, Receiver
from imgforge.service.telemetry.otel.sending_variables import sending_mistakes


def mistakes(protocol: str, **given: str) -> list[str]:
    """Those of a receiver of traces and one of logs, of *given* without OTEL_."""
    receivers = [Receiver(signal, "http://x", protocol, ()) for signal in ("traces", "logs")]
    return list(sending_mistakes(receivers, {f"OTEL_{name}": value for name, value in given.items()}))


class SendingVariablesTests(SynchronousTestCase):
    def test_what_the_sdk_takes_is_no_mistake(self) -> None:
        for protocol in (GRPC, HTTP):
            self.assertEqual(mistakes(protocol), [])
            given = {"EXPORTER_OTLP_TIMEOUT": "2.5", "EXPORTER_OTLP_COMPRESSION": "gzip", "BSP_MAX_QUEUE_SIZE": "512"}
            self.assertEqual(mistakes(protocol, **given, EXPORTER_OTLP_HEADERS="api-key=a%20b, x=y,"), [])
        self.assertEqual(mistakes(HTTP, EXPORTER_OTLP_TIMEOUT="", EXPORTER_OTLP_COMPRESSION="none"), [])

    def test_each_mistake_is_one_line_with_its_variable(self) -> None:
        for protocol, given, line in (
            (HTTP, {"EXPORTER_OTLP_TIMEOUT": "10s"}, "OTEL_EXPORTER_OTLP_TIMEOUT='10s' must be a number of seconds"),
            (GRPC, {"EXPORTER_OTLP_TIMEOUT": ""}, "OTEL_EXPORTER_OTLP_TIMEOUT='' must be a number of seconds"),
            (
                GRPC,
                {"EXPORTER_OTLP_COMPRESSION": "none"},
                "OTEL_EXPORTER_OTLP_COMPRESSION='none' must be gzip, or not be set",
            ),
            (
                HTTP,
                {"EXPORTER_OTLP_LOGS_COMPRESSION": "zip"},
                "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION='zip' must be gzip or deflate or none, or not be set",
            ),
            (
                GRPC,
                {"EXPORTER_OTLP_HEADERS": "hush"},
                "OTEL_EXPORTER_OTLP_HEADERS=*** must be name=value pairs, with commas between them",
            ),
            (HTTP, {"BSP_SCHEDULE_DELAY": "x"}, "OTEL_BSP_SCHEDULE_DELAY='x' must be a whole number above 0"),
            (
                HTTP,
                {"BLRP_MAX_QUEUE_SIZE": "100"},
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE (512) must not be above OTEL_BLRP_MAX_QUEUE_SIZE (100)",
            ),
        ):
            self.assertEqual(mistakes(protocol, **given), [line])
