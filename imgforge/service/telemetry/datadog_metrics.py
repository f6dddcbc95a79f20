"""imgproxy's gauges for a Datadog agent, by DogStatsD: UDP datagrams of lines such as

    imgproxy.workers:8|g|#service:imgproxy,version:1.0

https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/. Seven gauges every ten seconds need none of what the
client libraries have besides: buffers, sampling, telemetry of their own.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator

from imgforge import __version__
from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.service.datadog_agent import DatadogAgent, datadog_agent
from imgforge.service.telemetry import Telemetry
from imgforge.service.telemetry.server_gauges import GaugeSender, ServerGauges

__all__ = ["DogStatsD", "make"]

_LARGEST = 1432  # bytes of a datagram: what passes an Ethernet unfragmented, as in Datadog's libraries
_FORBIDDEN = re.compile(r"[,|\s]")  # in a tag: it would end the tag
_NAMES = {
    "workers": "imgproxy.workers",
    "requests_in_progress": "imgproxy.requests_in_progress",
    "images_in_progress": "imgproxy.images_in_progress",
    "workers_utilization": "imgproxy.workers_utilization",
    "vips_memory": "imgproxy.vips.memory",
    "vips_max_memory": "imgproxy.vips.max_memory",
    "vips_allocs": "imgproxy.vips.allocs",
}


def make(reactor: IServerReactor, _: Settings, metrics: Metrics) -> Telemetry:
    """The service that sends."""
    return Telemetry(services=(GaugeSender(reactor, metrics, "Datadog", DogStatsD(datadog_agent(os.environ)).send),))


class DogStatsD:
    """Sends gauges to *agent*; it does not hear whether they arrive."""

    def __init__(self, agent: DatadogAgent) -> None:
        self._agent = agent
        tags = {
            "service": agent.service,
            "version": agent.version or __version__,
            "env": agent.environment,
            "dd.internal.entity_id": agent.entity,
        }
        self._tags = ",".join(f"{name}:{_FORBIDDEN.sub('_', value)}" for name, value in tags.items() if value)

    def send(self, gauges: ServerGauges) -> None:
        """Sends *gauges*. Waits for the look-up of the agent's name; `OSError` where it fails."""
        family, kind, protocol, _, address = socket.getaddrinfo(
            self._agent.host, self._agent.statsd_port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as sender:
            for datagram in self._datagrams(gauges):
                sender.sendto(datagram, address)

    def _datagrams(self, gauges: ServerGauges) -> Iterator[bytes]:
        lines = (f"{_NAMES[name]}:{_decimal(value)}|g|#{self._tags}" for name, value in gauges._asdict().items())
        return _joined(line.encode("utf-8", "replace") for line in lines)


def _decimal(value: float) -> str:
    """*value* without an exponent."""
    return f"{value:f}".rstrip("0").rstrip(".")


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """As many *lines* in a datagram as fit."""
    datagram = b""
    for line in lines:
        if datagram and len(datagram) + 1 + len(line) > _LARGEST:
            yield datagram
            datagram = b""
        datagram += b"\n" * bool(datagram) + line
    yield datagram
