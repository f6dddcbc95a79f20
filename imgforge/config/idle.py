"""Settings without effect, since the setting that switches them on is off: what the log notes at the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgforge.config.base_url_check import base_url_doubts
from imgforge.config.cache_buckets import BUCKETS

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
# The switches of stores that originals come from, by what the names of their settings begin with.
_STORES = {"use_s3": "s3_", "use_gcs": "gcs_", "use_abs": "abs_", "use_swift": "swift_"}
# These count for traces, whichever of the switches has them sent.
_TRACES = ("open_telemetry", "datadog", "new_relic")
_OF_TRACES = (
    *(f"{name}_propagate_external" for name in _TRACES),
    *("open_telemetry_server_cert", "open_telemetry_client_cert", "open_telemetry_client_key"),
)


def idle_settings(settings: Settings) -> Iterator[str]:
    """One line for each switch that is off, with the settings that wait for it, and for a base URL without use."""
    for switch, names in _SWITCHED.items():
        if not getattr(settings, switch) and (idle := _listed(settings, names)):
            yield f"{idle}: without effect, as IMGFORGE_{switch.upper()} is not set"
    yield from _idle_caches(settings)
    for switch, prefix in _STORES.items():
        if not getattr(settings, switch) and (idle := _listed(settings, _beginning(settings, prefix))):
            yield f"{idle}: without effect, as IMGFORGE_{switch.upper()} is not set"
    yield from base_url_doubts(settings)
    if not settings.sends_traces and (idle := _listed(settings, _OF_TRACES)):
        yield f"{idle}: without effect, as no traces are sent"


def _idle_caches(settings: Settings) -> Iterator[str]:
    if settings.cache_disk_path and not settings.prepare_state_directory():
        path, kind = settings.variable("cache_disk_path"), settings.variable("cache_type")
        yield f"{path}: without effect, as {kind} is neither disk nor hybrid"
    if settings.cache_use not in BUCKETS and (idle := _listed(settings, ("cache_bucket", "cache_path_prefix"))):
        yield f"{idle}: without effect, as IMGFORGE_CACHE_USE names no store with buckets"
    for use in (*sorted(BUCKETS), "redis"):
        if settings.cache_use != use and (idle := _listed(settings, _beginning(settings, f"cache_{use}_"))):
            yield f"{idle}: without effect, as IMGFORGE_CACHE_USE is not {use}"


def _beginning(settings: Settings, prefix: str) -> tuple[str, ...]:
    """The names of settings that begin with *prefix*."""
    return tuple(name for name in settings.fields if name.startswith(prefix))


def _listed(settings: Settings, names: tuple[str, ...]) -> str:
    """Those of *names* that are not as they are by default."""
    changed = (name for name in names if getattr(settings, name) != settings.fields[name].default)
    return ", ".join(f"IMGFORGE_{name.upper()}" for name in changed)
