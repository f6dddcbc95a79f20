"""Rules that involve several settings; each is checked by itself, so that no mistake hides another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgforge.config.cache_buckets import BUCKETS
from imgforge.config.header_values import ANSWERED, FRAMING

if TYPE_CHECKING:
    from imgforge.config.settings import Settings

__all__ = ["Rule", "SettingsCheck", "broken_rules"]

# Checks the settings, without those that are unusable; returns one line for each mistake.
SettingsCheck = Callable[["Settings", Collection[str]], Iterable[str]]


def _keys_and_salts(settings: Settings) -> Iterator[str]:
    keys, salts = len(settings.key), len(settings.salt)
    if keys != salts:
        have = f"{keys} key{'s' * (keys != 1)} and IMGFORGE_SALT {salts} salt{'s' * (salts != 1)}"
        yield f"IMGFORGE_KEY has {have}: each key needs a salt"


def _encryption_key(settings: Settings) -> Iterator[str]:
    if [len(key) for key in settings.source_url_encryption_key] not in ([], [16], [24], [32]):
        yield "IMGFORGE_SOURCE_URL_ENCRYPTION_KEY=*** must be one key of 16, 24 or 32 bytes"


def _directory(settings: Settings) -> Iterator[str]:
    if settings.cache_type in {"disk", "hybrid"} and not settings.cache_disk_path:
        kind = settings.given.get("cache_type", settings.cache_type)
        yield f"{settings.variable('cache_type')}={kind} needs IMGFORGE_CACHE_DISK_PATH, a directory"


def _originals_directory(settings: Settings) -> Iterator[str]:
    if settings.source_cache_type in {"disk", "hybrid"} and not settings.cache_disk_path:
        yield f"IMGFORGE_SOURCE_CACHE_TYPE={settings.source_cache_type} needs IMGFORGE_CACHE_DISK_PATH, a directory"


def _queue(settings: Settings) -> Iterator[str]:
    if settings.queue_path and settings.queue_url:
        yield "IMGFORGE_QUEUE_PATH and IMGFORGE_QUEUE_URL are two queues for the same images: set one of them"
    if settings.render_secret and not settings.has_queue:
        yield "IMGFORGE_RENDER_SECRET needs a queue: IMGFORGE_QUEUE_PATH, a directory, or IMGFORGE_QUEUE_URL, a broker"


def _queue_cache(settings: Settings) -> Iterator[str]:
    if settings.has_queue and not settings.keeps_results:
        name = "IMGFORGE_QUEUE_PATH" if settings.queue_path else "IMGFORGE_QUEUE_URL"
        yield f"{name} needs a cache that processes share: IMGFORGE_CACHE_TYPE=disk or hybrid, or IMGFORGE_CACHE_USE"


def _airbrake(settings: Settings) -> Iterator[str]:
    if bool(settings.airbrake_project_id) != bool(settings.airbrake_project_key):
        yield "IMGFORGE_AIRBRAKE_PROJECT_ID and IMGFORGE_AIRBRAKE_PROJECT_KEY name a project together: set both or none"


def _prerender_presets(settings: Settings) -> Iterator[str]:
    for name in settings.prerender_presets:
        if name not in settings.presets:
            yield f"IMGFORGE_PRERENDER_PRESETS has {name!r}, which is no preset of IMGFORGE_PRESETS"


def _quality_search(settings: Settings) -> Iterator[str]:
    least, greatest = settings.autoquality_min, settings.autoquality_max
    if least > greatest:
        yield f"IMGFORGE_AUTOQUALITY_MIN={least} must not be above IMGFORGE_AUTOQUALITY_MAX={greatest}"


_OURS = "imgforge sets that header itself"


def _custom_headers(settings: Settings) -> Iterator[str]:
    given, own = settings.custom_request_headers, FRAMING
    yield from (
        f"IMGFORGE_CUSTOM_REQUEST_HEADERS must not have {name}: {_OURS}" for name in given if name.lower() in own
    )


def _request_headers(settings: Settings) -> Iterator[str]:
    why = dict.fromkeys(FRAMING, _OURS) | {"cookie": "use IMGFORGE_COOKIE_PASSTHROUGH"}
    if settings.secret:
        why["authorization"] = "IMGFORGE_SECRET would be sent to origins"
    for name in settings.request_headers_passthrough:
        if name in why:
            yield f"IMGFORGE_REQUEST_HEADERS_PASSTHROUGH must not have {name}: {why[name]}"


def _response_headers(settings: Settings) -> Iterator[str]:
    why = dict.fromkeys(FRAMING | ANSWERED, _OURS) | {"set-cookie": "a cached cookie would be sent to everybody"}
    for name in settings.response_headers_passthrough:
        if name in why:
            yield f"IMGFORGE_RESPONSE_HEADERS_PASSTHROUGH must not have {name}: {why[name]}"


def _custom_answers(settings: Settings) -> Iterator[str]:
    given, own = settings.custom_response_headers, FRAMING | ANSWERED
    yield from (
        f"IMGFORGE_CUSTOM_RESPONSE_HEADERS must not have {name}: {_OURS}" for name in given if name.lower() in own
    )


def _swift(settings: Settings) -> Iterator[str]:
    if settings.use_swift:
        yield from _swift_settings(settings, "IMGFORGE_USE_SWIFT", "swift")


def _cache_swift(settings: Settings) -> Iterator[str]:
    if settings.cache_use == "swift":
        yield from _swift_settings(settings, "IMGFORGE_CACHE_USE=swift", "cache_swift")


def _swift_settings(settings: Settings, switch: str, prefix: str) -> Iterator[str]:
    for name in ("username", "api_key", "auth_url"):
        if not getattr(settings, f"{prefix}_{name}"):
            yield f"{switch} needs IMGFORGE_{prefix.upper()}_{name.upper()}"
    url, version = getattr(settings, f"{prefix}_auth_url"), getattr(settings, f"{prefix}_auth_version")
    if url and not version and not any(name in url for name in ("v1", "v2", "v3")):
        yield (
            f"IMGFORGE_{prefix.upper()}_AUTH_VERSION must be 1, 2 or 3, for IMGFORGE_{prefix.upper()}_AUTH_URL has no "
            "v1, v2 or v3"
        )


def _cache_bucket(settings: Settings) -> Iterator[str]:
    if settings.cache_use in BUCKETS:
        if not settings.cache_bucket:
            yield f"IMGFORGE_CACHE_USE={settings.cache_use} needs IMGFORGE_CACHE_BUCKET, the name of a bucket"
    elif settings.cache_type in {"disk", "hybrid"} and not settings.cache_use:
        for name in ("cache_bucket", "cache_path_prefix"):
            if getattr(settings, name):
                yield (
                    f"IMGFORGE_{name.upper()} is for a cache in a bucket: IMGFORGE_CACHE_DISK_PATH names the whole "
                    "path of one on disk"
                )


def _syslog(settings: Settings) -> Iterator[str]:
    address = settings.syslog_address
    if not settings.syslog_enable or not settings.syslog_network:
        return
    if not address:
        yield "IMGFORGE_SYSLOG_NETWORK needs IMGFORGE_SYSLOG_ADDRESS, host:port or the path of a socket"
    elif not settings.syslog_network.startswith("unix") and ":" not in address.rstrip(":"):
        yield f"IMGFORGE_SYSLOG_ADDRESS must be host:port for {settings.syslog_network}"


def _reach(settings: Settings) -> Iterator[str]:
    if settings.key or settings.allow_unsigned or settings.on_loopback:
        return
    where = ", ".join(str(one) for one in settings.listeners if not one.is_loopback)
    yield (
        f"IMGFORGE_KEY and IMGFORGE_SALT are needed to listen on {where}: make them with `imgforge keygen`, "
        "or set IMGFORGE_ALLOW_UNSIGNED=true to serve anybody anything"
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """The names of the settings involved, and a function that yields one line for each violation."""

    names: frozenset[str]
    broken: Callable[[Settings], Iterable[str]]


_SWIFT = ("swift_username", "swift_api_key", "swift_auth_url", "swift_auth_version")
_RULES = (
    Rule(frozenset({"key", "salt"}), _keys_and_salts),
    Rule(frozenset({"source_url_encryption_key"}), _encryption_key),
    Rule(frozenset({"cache_type", "cache_disk_path"}), _directory),
    Rule(frozenset({"source_cache_type", "cache_disk_path"}), _originals_directory),
    Rule(frozenset({"queue_path", "queue_url", "render_secret"}), _queue),
    Rule(frozenset({"airbrake_project_id", "airbrake_project_key"}), _airbrake),
    Rule(frozenset({"queue_path", "queue_url", "cache_type", "cache_disk_path"}), _queue_cache),
    Rule(frozenset({"prerender_presets", "presets"}), _prerender_presets),
    Rule(frozenset({"custom_request_headers"}), _custom_headers),
    Rule(frozenset({"custom_response_headers"}), _custom_answers),
    Rule(frozenset({"request_headers_passthrough", "secret"}), _request_headers),
    Rule(frozenset({"response_headers_passthrough"}), _response_headers),
    Rule(frozenset({"autoquality_min", "autoquality_max"}), _quality_search),
    Rule(frozenset({"use_swift", *_SWIFT}), _swift),
    Rule(frozenset({"cache_use", *(f"cache_{name}" for name in _SWIFT)}), _cache_swift),
    Rule(frozenset({"cache_use", "cache_type", "cache_bucket", "cache_path_prefix"}), _cache_bucket),
    Rule(frozenset({"syslog_enable", "syslog_network", "syslog_address"}), _syslog),
    Rule(frozenset({"key", "salt", "bind", "allow_unsigned"}), _reach),
)


def broken_rules(settings: Settings, unusable: Collection[str], rules: Iterable[Rule] = _RULES) -> list[str]:
    """One line for each violation of *rules*, those here unless others are given.

    Rules that involve an *unusable* setting are skipped: its value is not what the operator meant.
    """
    applied = [rule for rule in rules if rule.names.isdisjoint(unusable)]
    return [line for rule in applied for line in rule.broken(settings)]
