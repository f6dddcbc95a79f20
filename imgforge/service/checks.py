"""Checks of settings by the parts that use them, before the server starts: presets, files, images, plugins, stores.

The parts are imported by the checks that need them. Those of `LIGHT` need URLs and files only; the others need what
the supervisor of several processes does not import: libvips, TLS, the sources (see `start_checks`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from imgforge.config import BindAddress, Rule, Settings, broken_rules

if TYPE_CHECKING:
    from imgforge.plugins import Plugins

__all__ = ["HEAVY", "LIGHT", "all_plugins", "check_settings", "why_unreadable"]

# Settings that the URL parser checks, each by itself.
_CHECKED_BY_URLS = ("allowed_processing_options", "allowed_info_options", "presets", "info_presets")


def _urls(settings: Settings) -> Iterator[str]:
    """Presets may use each other, so that all of a kind are checked together."""
    if all(getattr(settings, name) == Settings.fields[name].default for name in _CHECKED_BY_URLS):
        return
    from dataclasses import replace

    from imgforge.service.url_translation import url_settings
    from imgforge.urls import UrlParser

    rules = url_settings(settings)
    unbound = replace(rules, **{name: type(getattr(rules, name))() for name in _CHECKED_BY_URLS})
    for name in _CHECKED_BY_URLS:
        try:
            UrlParser(replace(unbound, **{name: getattr(rules, name)}))
        except ValueError as error:
            yield from (f"IMGFORGE_{name.upper()}: {line}" for line in error.args)


def _image(name: str) -> Rule:
    """The operator's watermark or fallback image must be an image: otherwise the first client would get the error."""

    def broken(settings: Settings) -> Iterator[str]:
        from imgforge.processing import detect_format

        data, path = getattr(settings, f"{name}_data"), getattr(settings, f"{name}_path")
        if data and detect_format(data) is None:
            yield f"IMGFORGE_{name.upper()}_DATA ({len(data)} bytes) must be an image of a known format, as base64"
        if path:
            yield from _unreadable(f"{name}_path", path)
            if _is_readable(path) and detect_format(Path(path).read_bytes()) is None:
                yield f"IMGFORGE_{name.upper()}_PATH={path!r} must hold an image of a known format"

    return Rule(frozenset({f"{name}_data", f"{name}_path"}), broken)


def _authorities(settings: Settings) -> Iterator[str]:
    path = settings.ca_file
    if path:
        yield from _unreadable("ca_file", path)
    if path and _is_readable(path):
        from imgforge.sources import read_authorities

        try:
            read_authorities(path)
        except ValueError as error:
            yield f"IMGFORGE_CA_FILE={path!r} must hold PEM certificates: there is {error}"


def _proxies(_: Settings) -> Iterator[str]:
    from imgforge.sources import Proxies

    try:
        Proxies(os.environ)
    except ValueError as error:
        yield str(error)


def _root(settings: Settings) -> Iterator[str]:
    path = settings.local_filesystem_root
    why = why_unreadable(path) if path else ""
    if why:
        yield f"IMGFORGE_LOCAL_FILESYSTEM_ROOT={path!r} must name a readable directory: {why}"


def why_unreadable(directory: str) -> str:
    """Why this user cannot read *directory*; "" for one that can be read."""
    if not os.path.exists(directory):
        return "it does not exist, or this user may not search the directories above it"
    if not os.path.isdir(directory):
        return "it is a file"
    return "" if os.access(directory, os.R_OK | os.X_OK) else "this user may not read it"


def _queue(settings: Settings) -> Iterator[str]:
    path = settings.queue_path
    if path and os.path.exists(path) and not (os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)):
        yield f"IMGFORGE_QUEUE_PATH={path!r} must name a directory that this user may write"
    if settings.queue_url and find_spec("celery") is None:
        yield "IMGFORGE_QUEUE_URL needs Celery: pip install 'twisted-imgforge[queue]'"


def _sentry(settings: Settings) -> Iterator[str]:
    if settings.sentry_dsn and find_spec("sentry_sdk") is None:
        yield "IMGFORGE_SENTRY_DSN needs Sentry's library: pip install 'twisted-imgforge[sentry]'"


def _telemetry(settings: Settings) -> Iterator[str]:
    from imgforge.service.telemetry import telemetry_mistakes

    yield from telemetry_mistakes(settings)


def _datadog(settings: Settings) -> Iterator[str]:
    if settings.datadog_enable:
        from imgforge.service.datadog_agent import datadog_mistakes

        yield from datadog_mistakes(os.environ)


def _cloud_watch(settings: Settings) -> Iterator[str]:
    if settings.cloud_watch_service_name and find_spec("botocore") is None:
        yield "IMGFORGE_CLOUD_WATCH_SERVICE_NAME needs botocore: pip install 'twisted-imgforge[cloudwatch]'"


def _credentials(name: str, listeners: Callable[[Settings], Iterable[BindAddress]]) -> Rule:
    """The keys and certificates of TLS listeners must be usable."""

    def broken(settings: Settings) -> Iterator[str]:
        for address in listeners(settings):
            if address.kind == "ssl":
                from imgforge.service.net import CredentialsError, read_credentials

                try:
                    read_credentials(address)
                except CredentialsError as error:
                    yield f"IMGFORGE_{name.upper()}: cannot listen on {address}: {error}"

    return Rule(frozenset({name}), broken)


def _plugins(settings: Settings) -> Iterator[str]:
    from imgforge.plugins import unknown_plugin_settings

    plugins = all_plugins()
    yield from plugins.mistakes or unknown_plugin_settings(plugins.factories.values(), settings.plugin)


def _shared_cache(settings: Settings) -> Iterator[str]:
    from imgforge.cache import shared_tier_mistakes, unknown_shared_tier
    from imgforge.service.cache_translation import shared_tier_settings

    yield from unknown_shared_tier(settings.cache_use, all_plugins().factories)
    yield from shared_tier_mistakes(shared_tier_settings(settings))


_STORES = frozenset({"use_s3", "s3_endpoint", "s3_access_points", "use_gcs", "gcs_key", "gcs_endpoint"}) | {
    "use_abs",
    "abs_name",
    "abs_key",
    "abs_endpoint",
}


def _stores(settings: Settings) -> Iterator[str]:
    """Keys, endpoints and libraries of object stores must be usable."""
    if not (settings.use_s3 or settings.use_gcs or settings.use_abs or settings.use_swift):
        return
    from imgforge.service.translation import source_settings
    from imgforge.sources import store_mistakes

    yield from store_mistakes(source_settings(settings))


def _is_readable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.R_OK)


def _unreadable(name: str, path: str) -> Iterator[str]:
    if not _is_readable(path):
        yield f"IMGFORGE_{name.upper()}={path!r} must name a readable file"


LIGHT = (
    Rule(frozenset({*_CHECKED_BY_URLS, "arguments_separator"}), _urls),
    Rule(frozenset({"local_filesystem_root"}), _root),
    Rule(frozenset({"queue_path", "queue_url"}), _queue),
    Rule(frozenset({"sentry_dsn"}), _sentry),
    Rule(frozenset({"open_telemetry_enable", "new_relic_key", "datadog_enable"}), _telemetry),
    Rule(frozenset({"datadog_enable"}), _datadog),
    Rule(frozenset({"cloud_watch_service_name"}), _cloud_watch),
    _credentials("bind", lambda settings: settings.listeners),
    _credentials("prometheus_bind", lambda settings: settings.metrics_listeners),
)
HEAVY = (
    _image("watermark"),
    _image("fallback_image"),
    Rule(frozenset({"ca_file"}), _authorities),
    Rule(frozenset(), _proxies),
    Rule(frozenset({"plugin"}), _plugins),
    Rule(frozenset({"cache_use", "cache_redis_url"}), _shared_cache),
    Rule(_STORES, _stores),
)


def all_plugins() -> Plugins:
    """The plugins on Python's path, of sources and of cache tiers."""
    from imgforge.cache import TIER_PLUGINS
    from imgforge.plugins import find_plugins
    from imgforge.sources import SOURCE_PLUGINS

    return find_plugins(SOURCE_PLUGINS, TIER_PLUGINS)


def check_settings(settings: Settings, unusable: Collection[str]) -> list[str]:
    """One line for each mistake that the parts find in *settings*; those that involve an *unusable* one are skipped."""
    return broken_rules(settings, unusable, (*LIGHT, *HEAVY))
