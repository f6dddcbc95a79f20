"""`imgforge playground`: a server on loopback with the operator's settings, whose page signs URLs for its user."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Any, cast

from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.interfaces import IServerReactor
from imgforge.service.checks import check_settings, why_unreadable
from imgforge.service.log_output import catch_uncaught, observer_for
from imgforge.service.platform import confine, settle, stop_on_signals, tune_allocator, usable_cpus
from imgforge.service.shares import threads_per_process

__all__ = ["playground_settings", "run_playground"]

_GRACE = 2.0  # seconds for requests under way at the end

# The operator's own server goes on with its caches, its queue and its receivers of telemetry: the playground has none
# of them. It serves this machine, so that rules for clients are dropped.
_OWN: dict[str, Any] = {
    "processes": 1,
    "prometheus_bind": "",
    "queue_path": "",
    "queue_url": "",
    "render_secret": "",
    "purge_secret": "",
    "allowed_clients": (),
    "trusted_proxies": (),
    "cache_use": "",
    "cache_type": "memory",
    "source_cache_type": "memory",
    "cache_disk_path": "",
    "access_log": "off",
    "shutdown_delay": 0,
    "graceful_stop_timeout": _GRACE,
    "rate_limit_per_minute": 0,
    "rate_limit_per_client_per_minute": 0,
    "so_reuseport": False,
    "path_prefix": "",
    "development_errors_mode": True,
    "open_telemetry_enable": False,
    "datadog_enable": False,
    "cloud_watch_service_name": "",
    "new_relic_key": "",
    "sentry_dsn": "",
    "bugsnag_key": "",
    "honeybadger_key": "",
    "airbrake_project_key": "",
    "syslog_enable": False,
    "slow_request_seconds": 0,
    "prometheus_imgproxy_names": False,
    "top_entries": 0,
}
_SAMPLES = "sample://"


def playground_settings(config_path: str | None, port: int, directory: str | None, token: str) -> Settings:
    """The operator's settings, as far as they are about images, for a server on *port* of loopback.

    *directory* takes the place of local_filesystem_root. Raises `ConfigurationError` with a line for each mistake.
    """
    settings = load_settings(config_path, os.environ, check=check_settings)
    own = _OWN | {"bind": f"127.0.0.1:{port}"}
    if directory is not None:
        own["local_filesystem_root"] = os.path.abspath(os.path.expanduser(directory))
        why = why_unreadable(own["local_filesystem_root"])
        if why:
            raise ConfigurationError([f"--try {own['local_filesystem_root']}: no readable directory: {why}"])
    if settings.allowed_sources:
        tried = () if directory is None else ("local://",)
        own["allowed_sources"] = (*settings.allowed_sources, _SAMPLES, *tried)
    if settings.secret:  # the page does not get to know it; images are asked for with the token in its place
        own["secret"] = token
    return Settings.from_given({**settings.given, **own}).with_variables({}, settings.hidden)


def run_playground(settings: Settings, token: str, ready: Callable[[str], None]) -> None:
    """Serve until a signal comes; *ready* is called with the address when requests are accepted.

    Raises `ConfigurationError` where the port cannot be had.
    """
    tune_allocator()
    gc.disable()  # until the start is over (`settle`)
    from twisted.internet import reactor as installed
    from twisted.logger import globalLogBeginner

    from imgforge.service.assembly import ApplicationParts
    from imgforge.service.net import ListenError, open_listeners
    from imgforge.service.worker import ServingParts, ServingProcess

    catch_uncaught()
    globalLogBeginner.beginLoggingTo([observer_for(settings, sys.stderr)], redirectStandardIO=False)
    reactor = cast("IServerReactor", installed)
    try:
        listeners = open_listeners(settings.listeners)
    except ListenError as error:
        raise ConfigurationError(list(error.args)) from None
    if settings.sandbox:
        confine()
    threads = threads_per_process(settings, 1, usable_cpus())
    parts = ServingParts(
        listeners,
        ApplicationParts(threads, output=sys.stderr, playground_token=token),
        on_listening=lambda: ready(f"http://127.0.0.1:{listeners[0].address.port}/#token={token}"),
    )
    service = ServingProcess(reactor, settings, parts)

    def handle_signals() -> None:
        stop_on_signals(reactor, lambda: 2 * _GRACE, lambda: None)

    reactor.callWhenRunning(handle_signals)
    reactor.callWhenRunning(settle)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
