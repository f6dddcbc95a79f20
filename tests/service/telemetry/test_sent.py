"""The line of the start that says what goes where."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import load_settings
from imgforge.service.telemetry import sent_lines


def lines(environ: dict[str, str] | None = None, **given: str) -> list[str]:
    return sent_lines(load_settings(None, {f"IMGFORGE_{name}": value for name, value in given.items()}), environ or {})


class SentTests(SynchronousTestCase):
    def test_nothing_is_sent_by_default(self) -> None:
        self.assertEqual(lines(), [])

    def test_places_are_named_without_keys(self) -> None:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:hush@collector:4317/x"}
        found = lines(endpoint, OPEN_TELEMETRY_ENABLE="1", SENTRY_DSN="https://hush@sentry.example/1")
        self.assertEqual(found, ["traces go to http://collector:4317 (grpc), reports to Sentry"])
        self.assertEqual(
            lines(NEW_RELIC_KEY="hush", BUGSNAG_KEY="hush", HONEYBADGER_KEY="hush"),
            ["traces go to https://otlp.nr-data.net:4318 (http/protobuf), reports to Bugsnag and Honeybadger"],
        )

    def test_all_kinds_are_in_one_line(self) -> None:
        found = lines(
            {"DD_AGENT_HOST": "10.0.0.7"},
            DATADOG_ENABLE="1",
            DATADOG_ENABLE_ADDITIONAL_METRICS="1",
            CLOUD_WATCH_SERVICE_NAME="pictures",
            SYSLOG_ENABLE="1",
            SYSLOG_NETWORK="udp",
            SYSLOG_ADDRESS="logs:514",
        )
        self.assertEqual(
            found,
            [
                "traces go to http://10.0.0.7:4318 (http/protobuf), gauges to Datadog's agent at 10.0.0.7, UDP port "
                "8125 and CloudWatch, log lines to syslog (udp logs:514)"
            ],
        )
        self.assertEqual(lines(SYSLOG_ENABLE="1"), ["log lines go to syslog (this machine)"])
