"""Where traces go, and what they say of the server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge.config import Settings, load_settings
from imgforge.service.telemetry.otel.destinations import (
    GRPC,
    HTTP,
    certificates_of,
    destinations,
    protocol_of,
    receivers,
    resource_attributes,
)


def settings(**given: str) -> Settings:
    return load_settings(None, {f"IMGFORGE_{name}": value for name, value in given.items()})


class DestinationTests(SynchronousTestCase):
    def test_protocols_are_those_of_imgproxy(self) -> None:
        self.assertEqual(protocol_of({}, "traces"), GRPC)
        general = {"OTEL_EXPORTER_OTLP_PROTOCOL": "https"}
        self.assertEqual(protocol_of(general, "traces"), HTTP)
        self.assertEqual(protocol_of(general | {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}, "logs"), GRPC)
        self.assertRaises(ValueError, protocol_of, {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"}, "metrics")

    def test_each_has_its_own_place(self) -> None:
        one = settings(OPEN_TELEMETRY_ENABLE="1", DATADOG_ENABLE="1", NEW_RELIC_KEY="licence")
        environ = {"DD_AGENT_HOST": "::1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}
        collector, agent, relic = destinations(one, environ)
        self.assertEqual((collector.endpoint, collector.protocol), ("", GRPC))  # what the SDK reads
        self.assertEqual((agent.endpoint, agent.protocol), ("http://[::1]:4318", HTTP))
        self.assertEqual((relic.endpoint, relic.protocol), ("https://otlp.nr-data.net:4318", HTTP))
        self.assertEqual((agent.headers, relic.headers), ({}, {"api-key": "licence"}))
        self.assertNotIn("licence", repr(relic))

    def test_without_a_collector_the_endpoint_is_the_others(self) -> None:
        (agent,) = destinations(settings(DATADOG_ENABLE="1"), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://proxy:4318"})
        self.assertEqual((agent.endpoint, agent.protocol), ("http://proxy:4318", HTTP))
        (relic,) = destinations(settings(NEW_RELIC_KEY="eu01xx"), {})
        self.assertEqual(relic.endpoint, "https://otlp.eu01.nr-data.net:4318")
        self.assertEqual(destinations(settings(), {}), ())

    def test_receivers_have_an_address_for_the_log_and_the_variables_that_name_it(self) -> None:
        endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
        one = settings(OPEN_TELEMETRY_ENABLE="1", OPEN_TELEMETRY_ENABLE_LOGS="1", DATADOG_ENABLE="1")
        self.assertEqual(
            [(found.signal, found.address, found.variables) for found in receivers(one, {"DD_AGENT_HOST": "::1"})],
            [
                ("traces", "http://localhost:4317", (endpoint,)),
                ("traces", "http://[::1]:4318", (endpoint, "DD_AGENT_HOST")),
                ("logs", "http://localhost:4317", (endpoint,)),
            ],
        )
        given = {endpoint: "https://me:hu/sh@collector:4318/otlp", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "logs:4317"}
        found = receivers(settings(OPEN_TELEMETRY_ENABLE="1", OPEN_TELEMETRY_ENABLE_LOGS="1"), given)
        self.assertEqual([one.address for one in found], ["https://collector:4318", "logs:4317"])
        self.assertEqual(found[1].variables, ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",))
        (relic,) = receivers(settings(NEW_RELIC_KEY="eu01xx"), {})
        self.assertEqual(relic.variables, (endpoint, "IMGFORGE_NEW_RELIC_KEY"))
        (relic,) = receivers(settings(NEW_RELIC_KEY="eu01xx"), {endpoint: "http://proxy:4318"})
        self.assertEqual(relic.variables, (endpoint,))

    def test_an_address_that_is_none_names_its_variable(self) -> None:
        for one in (settings(OPEN_TELEMETRY_ENABLE="1"), settings(DATADOG_ENABLE="1")):
            with self.assertRaisesRegex(ValueError, "^OTEL_EXPORTER_OTLP_ENDPOINT must be a URL: "):
                receivers(one, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1:4317"})

    def test_what_the_traces_say_of_the_server(self) -> None:
        self.assertEqual(resource_attributes(settings(OPEN_TELEMETRY_ENABLE="1"), {})["service.name"], "imgforge")
        found = resource_attributes(
            settings(NEW_RELIC_KEY="k", NEW_RELIC_APP_NAME="shop", NEW_RELIC_LABELS="team=images; stage=test"), {}
        )
        self.assertEqual((found["service.name"], found["team"], found["stage"]), ("shop", "images", "test"))
        environ = {"DD_TAGS": "datacenter:njc,key2:a:b", "DD_ENV": "prod", "DD_TRACE_SOURCE_HOSTNAME": "h"}
        found = resource_attributes(settings(DATADOG_ENABLE="1"), environ)
        self.assertEqual((found["datacenter"], found["key2"], found["host.name"]), ("njc", "a:b", "h"))
        self.assertEqual((found["service.name"], found["deployment.environment.name"]), ("imgproxy", "prod"))

    def test_certificates_have_their_line_breaks(self) -> None:
        found = certificates_of(settings(OPEN_TELEMETRY_SERVER_CERT=r"a\nb", OPEN_TELEMETRY_CLIENT_KEY="c"))
        self.assertEqual(found, (b"a\nb", b"", b"c"))
