"""Where traces go: to an OpenTelemetry collector, Datadog's agent and New Relic, all of them by OTLP."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from imgforge import __version__
from imgforge.config import Settings, mask_user_info
from imgforge.service.datadog_agent import datadog_agent

__all__ = [
    "GRPC",
    "HTTP",
    "Destination",
    "Receiver",
    "certificates_of",
    "destinations",
    "protocol_of",
    "receivers",
    "resource_attributes",
]

GRPC = "grpc"
HTTP = "http/protobuf"
# imgproxy's names for them too.
_PROTOCOLS = {GRPC: GRPC, HTTP: HTTP, "http": HTTP, "https": HTTP}

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_NEW_RELIC = "https://otlp.nr-data.net:4318"
_NEW_RELIC_IN_EUROPE = "https://otlp.eu01.nr-data.net:4318"
_TRUE = frozenset({"1", "t", "true"})


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver of traces. An *endpoint* of "" is what the OTEL_* variables say; *headers* may be credentials."""

    name: str
    endpoint: str = ""
    protocol: str = HTTP
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Receiver(NamedTuple):
    """What gets a *signal* (traces, metrics, logs), for a line of the log; `address` has no password and no path."""

    signal: str
    address: str
    protocol: str
    variables: tuple[str, ...]  # which name the address


def protocol_of(environ: Mapping[str, str], signal: str, default: str = GRPC) -> str:
    """How *signal* (traces, metrics, logs) is sent; `ValueError` for a protocol that is not known."""
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    if not environ.get(name):
        name = "OTEL_EXPORTER_OTLP_PROTOCOL"
    protocol = environ.get(name) or default
    if protocol not in _PROTOCOLS:
        raise ValueError(f"{name}={protocol!r} must be {GRPC} or {HTTP}")
    return _PROTOCOLS[protocol]


def destinations(settings: Settings, environ: Mapping[str, str]) -> tuple[Destination, ...]:
    """Those that *settings* switch on. Without a collector, OTEL_EXPORTER_OTLP_ENDPOINT replaces the others'."""
    return tuple(_destinations(settings, environ))


def _destinations(settings: Settings, environ: Mapping[str, str]) -> Iterator[Destination]:
    if settings.open_telemetry_enable:
        yield Destination("the OpenTelemetry collector", protocol=protocol_of(environ, "traces"))
    given = "" if settings.open_telemetry_enable else environ.get(_ENDPOINT, "")
    protocol = protocol_of(environ, "traces", HTTP) if given else HTTP
    if settings.datadog_enable:
        host = datadog_agent(environ).host
        yield Destination("Datadog's agent", given or f"http://{_authority(host)}:4318", protocol)
    if settings.new_relic_key:
        here = _NEW_RELIC_IN_EUROPE if settings.new_relic_key.startswith("eu") else _NEW_RELIC
        yield Destination("New Relic", given or here, protocol, {"api-key": settings.new_relic_key})


def receivers(settings: Settings, environ: Mapping[str, str]) -> tuple[Receiver, ...]:
    """Who gets which signal; `ValueError` for a protocol that is not known, and for an address that is none."""
    return tuple(_receivers(settings, environ))


def _receivers(settings: Settings, environ: Mapping[str, str]) -> Iterator[Receiver]:
    for one in destinations(settings, environ):
        if not one.endpoint:
            yield _collector("traces", environ)
        elif one.endpoint == environ.get(_ENDPOINT):
            yield Receiver("traces", _shown(one.endpoint, _ENDPOINT), one.protocol, (_ENDPOINT,))
        else:
            variable = "IMGFORGE_NEW_RELIC_KEY" if one.headers else "DD_AGENT_HOST"
            yield Receiver("traces", _shown(one.endpoint, variable), one.protocol, (_ENDPOINT, variable))
    for signal in ("metrics", "logs"):
        if settings.open_telemetry_enable and getattr(settings, f"open_telemetry_enable_{signal}"):
            yield _collector(signal, environ)


def _collector(signal: str, environ: Mapping[str, str]) -> Receiver:
    """The collector of *signal*, as the SDK finds it."""
    own, protocol = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", protocol_of(environ, signal)
    variable = own if environ.get(own) else _ENDPOINT
    address = environ.get(variable) or f"http://localhost:{4317 if protocol == GRPC else 4318}"
    return Receiver(signal, _shown(address, variable), protocol, (variable,))


def _shown(address: str, variable: str) -> str:
    """Scheme, host and port of *address*, which for gRPC may have no scheme."""
    try:
        parts = urlsplit(mask_user_info(address if "://" in address else f"//{address}"))
    except ValueError as error:
        raise ValueError(f"{variable} must be a URL: {error}") from None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme else host


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def resource_attributes(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What the traces say of this server, where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES do not."""
    attributes = {"service.name": "imgforge", "service.version": __version__}
    if settings.new_relic_key:
        attributes |= settings.new_relic_labels | {"service.name": settings.new_relic_app_name}
    if settings.datadog_enable:
        attributes |= _datadog_attributes(environ)
    return attributes


def _datadog_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    tags = (tag.partition(":") for tag in environ.get("DD_TAGS", "").replace(" ", ",").split(","))
    attributes = {name: value for name, colon, value in tags if name and colon}
    agent = datadog_agent(environ)
    own = {
        "service.name": agent.service,
        "service.version": agent.version,
        "deployment.environment.name": agent.environment,
    }
    attributes |= {name: value for name, value in own.items() if value}
    if environ.get("DD_TRACE_SOURCE_HOSTNAME"):
        attributes["host.name"] = environ["DD_TRACE_SOURCE_HOSTNAME"]
    elif environ.get("DD_TRACE_REPORT_HOSTNAME", "").lower() in _TRUE:
        attributes["host.name"] = socket.gethostname()
    return attributes


def certificates_of(settings: Settings) -> tuple[bytes, bytes, bytes]:
    """The PEM texts of the collector's certificate, of this server's and of its key; b"" for none."""
    texts = (
        settings.open_telemetry_server_cert,
        settings.open_telemetry_client_cert,
        settings.open_telemetry_client_key,
    )
    server, client, key = (text.replace("\\n", "\n").encode() for text in texts)
    return server, client, key
