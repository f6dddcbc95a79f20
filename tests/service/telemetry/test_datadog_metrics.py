"""imgproxy's gauges as a Datadog agent receives them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from imgforge import __version__
from imgforge.service.datadog_agent import DatadogAgent, datadog_agent, datadog_mistakes
from imgforge.service.telemetry.datadog_metrics import DogStatsD
from imgforge.service.telemetry.server_gauges import ServerGauges
from tests.support.statsd_agent import StatsdAgent

GAUGES = ServerGauges(8.0, 2.0, 1.0, 25.0, 1e17, 123456789.0, 0.0)


class SendTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.receiver = StatsdAgent()
        self.addCleanup(self.receiver.close)

    def sent(self, **variables: str) -> bytes:
        """The first datagram."""
        DogStatsD(datadog_agent(self.receiver.variables | variables)).send(GAUGES)
        return self.receiver.datagram()

    def test_gauges_have_imgproxys_names_and_tags(self) -> None:
        tags = f"|g|#service:imgproxy,version:{__version__}"
        self.assertEqual(
            self.sent().decode().splitlines(),
            [
                f"imgproxy.workers:8{tags}",
                f"imgproxy.requests_in_progress:2{tags}",
                f"imgproxy.images_in_progress:1{tags}",
                f"imgproxy.workers_utilization:25{tags}",
                f"imgproxy.vips.memory:100000000000000000{tags}",
                f"imgproxy.vips.max_memory:123456789{tags}",
                f"imgproxy.vips.allocs:0{tags}",
            ],
        )

    def test_tags_are_those_of_datadogs_variables(self) -> None:
        line = self.sent(DD_SERVICE="shop", DD_ENV="live", DD_VERSION="9", DD_ENTITY_ID="pod").decode().splitlines()[0]
        expected = "imgproxy.workers:8|g|#service:shop,version:9,env:live,dd.internal.entity_id:pod"
        self.assertEqual(line, expected)

    def test_tag_cannot_add_tags_or_lines(self) -> None:
        lines = self.sent(DD_SERVICE="a,b|c\nimgproxy.workers:0|g").decode().splitlines()
        self.assertEqual(len(lines), 7)
        self.assertTrue(lines[0].startswith("imgproxy.workers:8|g|#service:a_b_c_imgproxy.workers:0_g,version:"))

    def test_long_tags_take_several_datagrams(self) -> None:
        first = self.sent(DD_ENV="e" * 500)
        received = [first]
        while not self.receiver.is_silent():
            received.append(self.receiver.datagram())
        self.assertEqual([len(datagram.splitlines()) for datagram in received], [2, 2, 2, 1])
        self.assertLessEqual(max(map(len, received)), 1432)

    def test_agent_that_does_not_exist_is_an_error(self) -> None:
        with self.assertRaises(OSError):
            DogStatsD(datadog_agent({"DD_AGENT_HOST": "agent.invalid"})).send(GAUGES)


class VariableTests(SynchronousTestCase):
    def test_defaults_are_imgproxys(self) -> None:
        self.assertEqual(datadog_agent({}), DatadogAgent("localhost", 8125, 8126, "imgproxy"))

    def test_ports_are_checked(self) -> None:
        for value in ("0", "65536", "x", "-1", "\u0661", "9" * 5000):
            with self.assertRaises(ValueError):
                datadog_agent({"DD_DOGSTATSD_PORT": value})
            (line,) = datadog_mistakes({"DD_TRACE_AGENT_PORT": value})
            self.assertEqual(line, "DD_TRACE_AGENT_PORT must be a port from 1 to 65535")
        self.assertEqual(list(datadog_mistakes({"DD_TRACE_AGENT_PORT": "", "DD_DOGSTATSD_PORT": "8127"})), [])
