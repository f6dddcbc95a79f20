"""What is sent elsewhere and where to, for the log at the start; without keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgforge.config import Settings
from imgforge.service.datadog_agent import datadog_agent
from imgforge.service.telemetry.otel.destinations import receivers

__all__ = ["sent_lines"]

# Services that get reports of errors, by the setting that switches them on.
_REPORTERS = {
    "sentry_dsn": "Sentry",
    "bugsnag_key": "Bugsnag",
    "honeybadger_key": "Honeybadger",
    "airbrake_project_key": "Airbrake",
}


def sent_lines(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """What goes where, in one line without keys; none where nothing is sent."""
    places: dict[str, list[str]] = {}
    for what, where in _sent(settings, environ):
        places.setdefault(what, []).append(where)
    parts = [f"{what} to {' and '.join(dict.fromkeys(where))}" for what, where in places.items()]
    return [", ".join(parts).replace(" to ", " go to ", 1)] if parts else []


def _sent(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for one in receivers(settings, environ):
        yield one.signal, f"{one.address} ({one.protocol})"
    if settings.sends_datadog_metrics:
        agent = datadog_agent(environ)
        yield "gauges", f"Datadog's agent at {agent.host}, UDP port {agent.statsd_port}"
    if settings.cloud_watch_service_name:
        yield "gauges", "CloudWatch"
    if settings.syslog_enable:
        address = f"{settings.syslog_network} {settings.syslog_address}" if settings.syslog_network else "this machine"
        yield "log lines", f"syslog ({address})"
    yield from (("reports", name) for key, name in _REPORTERS.items() if getattr(settings, key))
