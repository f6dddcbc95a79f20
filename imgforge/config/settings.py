"""The settings as a whole: the sections, and what follows from them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

from imgforge.config.access import AccessSettings
from imgforge.config.answers import AnswersSettings
from imgforge.config.bind import BindAddress, parse_bind
from imgforge.config.cache_buckets import CacheBucketsSettings
from imgforge.config.cache_redis import CacheRedisSettings
from imgforge.config.caches import CachesSettings
from imgforge.config.diagnosing import DiagnosingSettings
from imgforge.config.encoders import EncoderSettings
from imgforge.config.environment_settings import EnvironmentSettings
from imgforge.config.idle import idle_settings
from imgforge.config.metrics import MetricsSettings
from imgforge.config.open_telemetry import OpenTelemetrySettings
from imgforge.config.plugins import PluginsSettings
from imgforge.config.processing import ResultSettings
from imgforge.config.queue import QueueSettings
from imgforge.config.risks import risks
from imgforge.config.service import ServiceSettings
from imgforge.config.sources import SourcesSettings
from imgforge.config.stores import StoresSettings
from imgforge.config.syslog import SyslogSettings
from imgforge.config.url_masking import mask_user_info

__all__ = ["ALIASES", "SECRET", "Settings"]

# Older names and those of imgproxy Pro.
ALIASES = {
    "last_modified_enabled": "use_last_modified",
    "enable_webp_detection": "auto_webp",
    "enable_avif_detection": "auto_avif",
    "cache_fs_root": "cache_disk_path",
}
# Masked wherever settings are printed: a trusted signature opens every URL, a header may carry a token, plugins may
# have secrets.
SECRET = frozenset(
    {
        "key",
        "salt",
        "secret",
        "purge_secret",
        "render_secret",
        "source_url_encryption_key",
        "trusted_signatures",
        "custom_request_headers",
        "env_gcp_key",
        "gcs_key",
        "abs_key",
        "swift_api_key",
        "cache_gcs_key",
        "cache_abs_key",
        "cache_swift_api_key",
        "cache_redis_url",
        "sentry_dsn",
        "bugsnag_key",
        "honeybadger_key",
        "airbrake_project_key",
        "open_telemetry_client_key",
        "new_relic_key",
        "plugin",
    }
)

_KEYLESS_BIND = "127.0.0.1:3000"
_BIND = "0.0.0.0:3000"

# Defaults of the embedded mode that differ from those of production: animations move on the demo page.
_EMBEDDED_DEFAULTS = {"max_animation_frames": 64}

# Values of cache_use that name no cache which other processes share, besides those of cache_type.
_UNSHARED = frozenset({"", "none", "off", "false", "memory", "disk", "fs", "filesystem", "hybrid"})


class Settings(
    ServiceSettings,
    AccessSettings,
    SourcesSettings,
    StoresSettings,
    ResultSettings,
    EncoderSettings,
    CachesSettings,
    CacheBucketsSettings,
    CacheRedisSettings,
    QueueSettings,
    AnswersSettings,
    DiagnosingSettings,
    OpenTelemetrySettings,
    MetricsSettings,
    SyslogSettings,
    EnvironmentSettings,
    PluginsSettings,
):
    """All settings; frozen."""

    _given: dict[str, Any]
    _notes: tuple[str, ...]
    _variables: Mapping[str, str]
    _hidden: frozenset[str]
    _origins: Mapping[str, str]
    _aliases: Mapping[str, str]

    def __init__(self, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__({**(defaults or {}), **given})
        self.__dict__.update(_given=dict(given), _notes=(), _variables={}, _hidden=frozenset())
        self.__dict__.update(_origins={}, _aliases={})

    @property
    def given(self) -> dict[str, Any]:
        """The configured values as they were written; `from_given` makes equal settings of them in another process."""
        return self._given

    @classmethod
    def from_given(cls, given: dict[str, Any]) -> Settings:
        """The settings of *given*, each validated by itself; `SettingMistakes` with all mistakes."""
        settings = cls(given)
        return cls(given, _EMBEDDED_DEFAULTS) if settings.embedded else settings

    def with_notes(self, notes: Iterable[str]) -> Settings:
        """These settings, with further *notes* to the operator among their warnings."""
        noted = copy(self)
        noted.__dict__.update(_notes=(*self._notes, *notes))
        return noted

    def with_variables(self, variables: Mapping[str, str], hidden: frozenset[str]) -> Settings:
        """These settings, with *variables* for libraries, and the names of settings that a secret store gave."""
        known = copy(self)
        known.__dict__.update(_variables=dict(variables), _hidden=hidden)
        return known

    @property
    def variables(self) -> Mapping[str, str]:
        """Variables of a file or a secret store that are no settings: a process has them in its environment."""
        return self._variables

    def with_origins(self, origins: Mapping[str, str], aliases: Mapping[str, str]) -> Settings:
        """These settings, which know by name where they were set, such as "in the environment", and by which alias."""
        known = copy(self)
        known.__dict__.update(_origins=dict(origins), _aliases=dict(aliases))
        return known

    def variable(self, name: str) -> str:
        """The variable of the setting *name*: that which the operator wrote, where it goes by another name."""
        return f"IMGFORGE_{self._aliases.get(name, name).upper()}"

    def origin(self, name: str) -> str:
        """Where the setting *name* has its value from; "default" where the operator has not set it."""
        if name not in self._origins and self.embedded and name in _EMBEDDED_DEFAULTS:
            return "default of a server that is tried out"
        return self._origins.get(name, "default")

    @property
    def hidden(self) -> frozenset[str]:
        """The names of the settings whose values are a store's secrets."""
        return self._hidden

    @property
    def embedded(self) -> bool:
        """Whether the server is being tried out: it has no key and listens on loopback only."""
        return not self.key and not self.allow_unsigned and self.on_loopback

    @property
    def listeners(self) -> tuple[BindAddress, ...]:
        """The addresses to listen on."""
        return parse_bind(self.bind or (_BIND if self.key or self.allow_unsigned else _KEYLESS_BIND))

    @property
    def metrics_listeners(self) -> tuple[BindAddress, ...]:
        """The addresses of the separate listener for metrics; none by default."""
        return parse_bind(self.prometheus_bind)

    @property
    def on_loopback(self) -> bool:
        """Whether all listeners are reachable from this machine only."""
        return all(one.is_loopback for one in self.listeners)

    @property
    def unsigned_allowed(self) -> bool:
        """Whether the signature `unsafe` is accepted: by allow_unsigned, or on loopback without keys."""
        return self.allow_unsigned or not self.key

    @property
    def direct_only(self) -> bool:
        """Whether forwarded requests are refused: without a key a proxy would open the server to everybody."""
        return not self.key and not self.allow_unsigned

    @property
    def grace(self) -> float:
        """Seconds for requests under way after SIGTERM."""
        return self.graceful_stop_timeout or 2 * self.timeout

    @property
    def time_to_stop(self) -> float:
        """Seconds from SIGTERM until requests under way are aborted."""
        return self.shutdown_delay + self.grace

    def prepare_cache(self) -> tuple[str, str]:
        """The cache's type and directory; by default in embedded mode hybrid, in the user's cache directory.

        That default directory is created if it is not there.
        """
        if not self.embedded or self.cache_use or "cache_type" in self._given:
            return self.cache_type, self.cache_disk_path
        if self.cache_disk_path:
            return "hybrid", self.cache_disk_path
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        for parent in (home, tempfile.gettempdir()):
            path = Path(parent, "imgforge" if parent == home else f"imgforge-{os.getuid()}")
            try:
                path.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError:
                continue
            if os.access(path, os.W_OK | os.X_OK) and path.stat().st_uid == os.getuid():
                return "hybrid", str(path)
        return "memory", ""

    def prepare_state_directory(self) -> str:
        """The directory for state that outlives the server: that of the disk caches; empty without one."""
        kind, path = self.prepare_cache()
        on_disk = {kind, self.source_cache_type} & {"disk", "hybrid"}
        return path if on_disk else ""

    @property
    def has_queue(self) -> bool:
        """Whether there is a queue of images to make beforehand."""
        return bool(self.queue_path or self.queue_url)

    @property
    def sends_traces(self) -> bool:
        """Whether requests are traced."""
        return bool(self.open_telemetry_enable or self.new_relic_key or self.datadog_enable)

    @property
    def propagates_traces(self) -> bool:
        """Whether web origins get the context of a trace."""
        asked = (self.open_telemetry_propagate_external, self.new_relic_propagate_external)
        return self.sends_traces and any((*asked, self.datadog_propagate_external))

    @property
    def reports_errors(self) -> bool:
        """Whether errors are reported to a service."""
        return bool(self.sentry_dsn or self.bugsnag_key or self.honeybadger_key or self.airbrake_project_key)

    @property
    def top_secret(self) -> str:
        """The bearer token of /debug/top: `secret`, or `purge_secret` where images are for everybody."""
        return self.secret or self.purge_secret

    @property
    def shows_top(self) -> bool:
        """Whether there are top tables: for nobody but the operator, who has a token or tries the server out."""
        return self.top_entries > 0 and (bool(self.top_secret) or self.embedded)

    @property
    def keeps_results(self) -> bool:
        """Whether results are cached where other processes find them."""
        return self.prepare_cache()[0] in {"disk", "hybrid"} or getattr(self, "cache_use", "") not in _UNSHARED

    def warnings(self) -> tuple[str, ...]:
        """One line for each risky setting, those without effect, and the notes of `with_notes`."""
        return (*self._notes, *idle_settings(self), *risks(self))

    @property
    def secret_texts(self) -> tuple[str, ...]:
        """The values of the settings that are secrets, each by itself."""
        written = self.written()
        return tuple(
            text
            for name in SECRET | self._hidden
            for whole in _texts(written[name])
            for text in {whole, *whole.split(",")}
            if text
        )

    def masked(self) -> dict[str, Any]:
        """All values by name, with secrets, those of secret stores, and the names and passwords in URLs, replaced."""
        values = json.loads(mask_user_info(json.dumps(self.written())))
        secret = SECRET | self._hidden
        return {name: "***" if name in secret and value else value for name, value in values.items()}


def _texts(value: object) -> Iterator[str]:
    """The texts in a setting's *value*, which may be a list or a table."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif value:
        yield str(value)
