"""Gauges that the real server sends: to a Datadog agent by UDP, and to CloudWatch (moto's)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.process import Twistd, wait_for
from tests.support.s3_server import S3Server
from tests.support.service_case import ServiceCase
from tests.support.statsd_agent import StatsdAgent

UNITS = {
    "Workers": "Count",
    "RequestsInProgress": "Count",
    "ImagesInProgress": "Count",
    "ConcurrencyUtilization": "Percent",
    "WorkersUtilization": "Percent",
    "VipsMemory": "Bytes",
    "VipsMaxMemory": "Bytes",
    "VipsAllocs": "Count",
}


class DatadogTests(ServiceCase):
    def setUp(self) -> None:
        self.agent = StatsdAgent()
        self.addCleanup(self.agent.close)

    def with_agent(self, **settings: str) -> Twistd:
        server = self.server(PROCESSES="2", WORKERS="4", **settings)
        server.environment = self.agent.variables | {"DD_SERVICE": "shop"}
        return server

    def test_one_process_sends_the_gauges_of_all(self) -> None:
        self.with_agent(DATADOG_ENABLE="true", DATADOG_ENABLE_ADDITIONAL_METRICS="true").start()
        lines = self.agent.datagram().decode().splitlines()
        self.assertEqual(len(lines), 7)
        self.assertRegex(lines[0], r"^imgproxy\.workers:[24]\|g\|#service:shop,version:")  # 4 when both have started
        self.assertTrue(all(re.fullmatch(r"imgproxy\.[a-z_.]+:\d+\|g\|#service:shop,version:\S+", x) for x in lines))
        self.assertTrue(self.agent.is_silent())

    def test_nothing_is_sent_without_additional_metrics(self) -> None:
        server = self.with_agent(DATADOG_ENABLE="true").start()
        wait_for(lambda: len(server.children()) == 2, "both workers")
        self.assertEqual(server.stop(), 0)
        self.assertTrue(self.agent.is_silent())

    def test_port_that_is_none_ends_the_start(self) -> None:
        server = self.with_agent(DATADOG_ENABLE="true")
        server.environment = {"DD_DOGSTATSD_PORT": "statsd"}
        server.launch()
        wait_for(lambda: server.ended, "the end")
        server.assert_logged("DD_DOGSTATSD_PORT must be a port from 1 to 65535")


class CloudWatchTests(ServiceCase):
    def setUp(self) -> None:
        self.aws = S3Server()
        self.addCleanup(self.aws.close)
        self.client = self.aws.client("cloudwatch", "eu-west-3")

    def values(self, name: str) -> list[dict[str, Any]]:
        now = datetime.now(UTC)
        found: list[dict[str, Any]] = self.client.get_metric_statistics(
            Namespace="pictures",
            MetricName=name,
            Dimensions=[{"Name": "ServiceName", "Value": "shop"}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return found

    def test_gauges_arrive_with_imgproxys_names_units_and_dimension(self) -> None:
        server = self.server(
            PROCESSES="1",
            WORKERS="3",
            CLOUD_WATCH_SERVICE_NAME="shop",
            CLOUD_WATCH_NAMESPACE="pictures",
            CLOUD_WATCH_REGION="eu-west-3",
        )
        server.environment = {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
        }
        server.start()
        wait_for(lambda: self.values("VipsAllocs"), "the gauges")
        self.assertEqual({name: self.values(name)[0]["Unit"] for name in UNITS}, UNITS)
        self.assertEqual(self.values("Workers")[0]["Maximum"], 3)
        self.assertGreater(self.values("VipsMaxMemory")[0]["Maximum"], -1)
        self.assertEqual(server.stop(), 0)
        self.assertNotIn("hush-hush", server.output())

    def test_store_without_credentials_is_logged_and_images_are_served(self) -> None:
        server = self.server(PROCESSES="1", CLOUD_WATCH_SERVICE_NAME="shop")
        server.environment = {"AWS_ENDPOINT_URL": self.aws.url, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/none"}
        server.start()
        line = "metrics cannot be sent to CloudWatch: NoCredentialsError"
        wait_for(lambda: line in server.output(), "the line")
        self.assertEqual(server.get("/health").status, 200)
