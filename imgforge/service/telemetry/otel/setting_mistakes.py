"""What keeps OpenTelemetry from working, found before the server starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

from imgforge.config import Settings
from imgforge.service.telemetry.otel.destinations import protocol_of, receivers
from imgforge.service.telemetry.otel.sampling import sampling_mistakes
from imgforge.service.telemetry.otel.sending_variables import sending_mistakes

__all__ = ["otel_mistakes"]

_EXTRA = "pip install 'twisted-imgforge[otel]'"


def otel_mistakes(settings: Settings) -> Iterator[str]:
    """One line for each mistake."""
    switches = {
        "OPEN_TELEMETRY_ENABLE": settings.open_telemetry_enable,
        "NEW_RELIC_KEY": settings.new_relic_key,
        "DATADOG_ENABLE": settings.datadog_enable,
    }
    switch = next((name for name, on in switches.items() if on), "")
    if not switch:
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        yield f"IMGFORGE_{switch} needs OpenTelemetry: {_EXTRA}"
        return
    try:
        yield from sending_mistakes(receivers(settings, os.environ), os.environ)
        for signal in ("metrics", "logs"):
            protocol_of(os.environ, signal)
    except ValueError as error:
        yield str(error)
    yield from sampling_mistakes(os.environ)
    if settings.open_telemetry_enable and not settings.open_telemetry_server_cert:
        for name in ("client_cert", "client_key"):
            if getattr(settings, f"open_telemetry_{name}"):
                yield f"IMGFORGE_OPEN_TELEMETRY_{name.upper()} needs IMGFORGE_OPEN_TELEMETRY_SERVER_CERT"
