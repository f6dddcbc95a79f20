"""imgproxy's gauges for Amazon CloudWatch, by its names, units and dimension."""

from __future__ import annotations

import os
from typing import Any

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.telemetry import Telemetry
from imgforge.service.telemetry.server_gauges import GaugeSender, ServerGauges

__all__ = ["CloudWatch", "make"]

_REGION = "us-west-1"  # imgproxy's
_TIMEOUT = 5.0  # seconds in which CloudWatch has to accept a connection, and for each of its silences
_TRIES = 2  # of a request; the next figures follow soon

# The metric's name, the gauge and its unit.
_METRICS = (
    ("Workers", "workers", "Count"),
    ("RequestsInProgress", "requests_in_progress", "Count"),
    ("ImagesInProgress", "images_in_progress", "Count"),
    ("ConcurrencyUtilization", "workers_utilization", "Percent"),
    ("WorkersUtilization", "workers_utilization", "Percent"),
    ("VipsMemory", "vips_memory", "Bytes"),
    ("VipsMaxMemory", "vips_max_memory", "Bytes"),
    ("VipsAllocs", "vips_allocs", "Count"),
)


def make(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> Telemetry:
    """The service that sends."""
    sender = CloudWatch(settings.cloud_watch_service_name, settings.cloud_watch_namespace, settings.cloud_watch_region)
    return Telemetry(services=(GaugeSender(reactor, metrics, "CloudWatch", sender.send),))


class CloudWatch:
    """Sends gauges of the service *name*, into *namespace*, to *region*: "" is that of AWS' variables or profile."""

    def __init__(self, name: str, namespace: str, region: str) -> None:
        self._dimensions = [{"Name": "ServiceName", "Value": name}]
        self._namespace = namespace
        self._region = region
        self._client: Any = None

    def send(self, gauges: ServerGauges) -> None:
        """Sends *gauges*, in a request that may take some 20 seconds; raises botocore's errors."""
        if self._client is None:
            self._client = _client(self._region)
        values = gauges._asdict()
        self._client.put_metric_data(
            Namespace=self._namespace,
            MetricData=[
                {"MetricName": name, "Dimensions": self._dimensions, "Unit": unit, "Value": values[gauge]}
                for name, gauge, unit in _METRICS
            ],
        )


def _client(region: str) -> Any:
    """A client of botocore, which finds credentials by all ways that AWS' tools know."""
    import botocore.config
    import botocore.session

    session = botocore.session.Session()
    config = botocore.config.Config(
        connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"total_max_attempts": _TRIES, "mode": "standard"}
    )
    return session.create_client("cloudwatch", region or _configured_region(session), config=config)


def _configured_region(session: Any) -> str:
    """AWS_REGION is that of Go's SDK, which imgproxy reads; botocore's is AWS_DEFAULT_REGION."""
    found = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    return str(found or _REGION)
