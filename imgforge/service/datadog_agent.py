"""Where the Datadog agent is and how this server is called, by the variables of Datadog's libraries (DD_*)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["DatadogAgent", "datadog_agent", "datadog_mistakes"]

_PORTS = {"DD_DOGSTATSD_PORT": 8125, "DD_TRACE_AGENT_PORT": 8126}


class DatadogAgent(NamedTuple):
    """The agent's host and ports, and the unified service tags; the defaults are imgproxy's."""

    host: str
    statsd_port: int
    trace_port: int
    service: str
    environment: str = ""
    version: str = ""
    entity: str = ""  # of the container, as Datadog's operator sets it


def datadog_agent(environment: Mapping[str, str]) -> DatadogAgent:
    """The agent by the variables of *environment*; `ValueError` for a port that is none."""
    return DatadogAgent(
        environment.get("DD_AGENT_HOST") or "localhost",
        _port(environment, "DD_DOGSTATSD_PORT"),
        _port(environment, "DD_TRACE_AGENT_PORT"),
        environment.get("DD_SERVICE") or "imgproxy",
        environment.get("DD_ENV", ""),
        environment.get("DD_VERSION", ""),
        environment.get("DD_ENTITY_ID", ""),
    )


def datadog_mistakes(environment: Mapping[str, str]) -> Iterator[str]:
    """One line for each variable that has no usable value."""
    for name in _PORTS:
        try:
            _port(environment, name)
        except ValueError as error:
            yield str(error)


def _port(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name) or str(_PORTS[name])
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and 0 < int(value) < 65536):
        raise ValueError(f"{name} must be a port from 1 to 65535")
    return int(value)
