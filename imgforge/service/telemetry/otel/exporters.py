"""The exporters of OpenTelemetry's SDK: OTLP over gRPC or HTTP, for traces, metrics and logs.

What is not given here they read from the OTEL_EXPORTER_OTLP_* variables: endpoint, headers, compression, timeout, files
of certificates. They are made after the fork, as gRPC has threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from imgforge.service.telemetry.otel.destinations import GRPC

__all__ = ["make_exporter"]

# By signal: the module beneath that of the protocol, and the class. The SDK's logs have no public names yet.
_CLASSES = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


def make_exporter(
    signal: str,
    protocol: str,
    *,
    endpoint: str = "",
    headers: Mapping[str, str] | None = None,
    certificates: tuple[bytes, bytes, bytes] = (b"", b"", b""),
) -> Any:
    """The exporter of *signal* (traces, metrics, logs) by *protocol*; *endpoint* has no path, "" is the environment's.

    *certificates* are PEM texts: the collector's certificate, this server's, and the key of that; b"" for none.
    """
    module, name = _CLASSES[signal]
    package = "grpc" if protocol == GRPC else "http"
    made = getattr(import_module(f"opentelemetry.exporter.otlp.proto.{package}.{module}"), name)
    arguments: dict[str, Any] = {}
    if headers:
        arguments["headers"] = dict(headers)
    if protocol == GRPC:
        if endpoint:
            arguments["endpoint"] = endpoint
        return made(**arguments, **_credentials(*certificates))
    if endpoint:
        arguments["endpoint"] = f"{endpoint.rstrip('/')}/v1/{signal}"
    return made(**arguments, **_files(*certificates))


def _credentials(server: bytes, client: bytes, key: bytes) -> dict[str, Any]:
    if not server:
        return {}
    from grpc import ssl_channel_credentials

    pair = (key, client) if client and key else (None, None)
    return {"insecure": False, "credentials": ssl_channel_credentials(server, *pair)}


def _files(server: bytes, client: bytes, key: bytes) -> dict[str, str]:
    """The PEM texts as files in memory: the library takes paths only, and a key does not belong on a disk."""
    if not server:
        return {}
    files = {"certificate_file": server}
    if client and key:
        files |= {"client_certificate_file": client, "client_key_file": key}
    return {name: _file_in_memory(name, text) for name, text in files.items()}


def _file_in_memory(name: str, text: bytes) -> str:
    descriptor = os.memfd_create(name)  # it stays open as long as the process
    os.write(descriptor, text)
    return f"/proc/self/fd/{descriptor}"
