"""Settings without effect, since the setting that switches them on is off: what the log notes at the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgforge.config.settings import Settings

__all__ = ["idle_settings"]

# By the switch.
_SWITCHED = {
    "open_telemetry_enable": ("open_telemetry_enable_metrics", "open_telemetry_enable_logs"),
    "datadog_enable": ("datadog_enable_additional_metrics",),
    "new_relic_key": ("new_relic_app_name", "new_relic_labels"),
    "cloud_watch_service_name": ("cloud_watch_namespace", "cloud_watch_region"),
    "syslog_enable": ("syslog_level", "syslog_network", "syslog_address", "syslog_tag"),
}
# These count for traces, whichever of the switches has them sent.
_TRACES = ("open_telemetry", "datadog", "new_relic")
_OF_TRACES = (
    *(f"{name}_propagate_external" for name in _TRACES),
    *("open_telemetry_server_cert", "open_telemetry_client_cert", "open_telemetry_client_key"),
)


def idle_settings(settings: Settings) -> Iterator[str]:
    """One line for each switch that is off, with the settings that wait for it."""
    for switch, names in _SWITCHED.items():
        if not getattr(settings, switch) and (idle := _listed(settings, names)):
            yield f"{idle}: without effect, as IMGFORGE_{switch.upper()} is not set"
    if not settings.sends_traces and (idle := _listed(settings, _OF_TRACES)):
        yield f"{idle}: without effect, as no traces are sent"


def _listed(settings: Settings, names: tuple[str, ...]) -> str:
    """Those of *names* that are not as they are by default."""
    changed = (name for name in names if getattr(settings, name) != settings.fields[name].default)
    return ", ".join(f"IMGFORGE_{name.upper()}" for name in changed)
