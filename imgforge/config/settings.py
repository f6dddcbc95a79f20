"""The settings as a whole: the sections, and what follows from them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, PrivateAttr, ValidationInfo, field_validator

from imgforge.config.access import AccessSettings
from imgforge.config.answers import AnswersSettings
from imgforge.config.bind import BindAddress, parse_bind
from imgforge.config.caches import CachesSettings
from imgforge.config.encoders import EncoderSettings
from imgforge.config.plugins import PluginsSettings
from imgforge.config.processing import ResultSettings
from imgforge.config.service import ServiceSettings
from imgforge.config.sources import SourcesSettings

__all__ = ["ALIASES", "SECRET", "Settings"]

# Older names and those of imgproxy Pro.
ALIASES = {
    "last_modified_enabled": "use_last_modified",
    "enable_webp_detection": "auto_webp",
    "enable_avif_detection": "auto_avif",
    "cache_use": "cache_type",
    "cache_fs_root": "cache_disk_path",
}
# Never shown; a trusted signature opens every URL, a header may open an origin, and plugins may have secrets.
SECRET = frozenset(
    {
        "key",
        "salt",
        "secret",
        "purge_secret",
        "source_url_encryption_key",
        "trusted_signatures",
        "custom_request_headers",
        "plugin",
    }
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"]+@")

_KEYLESS_BIND = "127.0.0.1:3000"
_BIND = "0.0.0.0:3000"

# What is otherwise while it is tried out, unless it is configured: animations move.
_TRIED_OUT = {"max_animation_frames": 64}

_SAFE_SIGNATURE = 8  # bytes

# What makes the server's risk the operator's: the setting, its safe value, what to say of another.
_RISKS: tuple[tuple[str, object, str], ...] = (
    ("allow_unsigned", False, "unsigned URLs are taken: anybody can have any image made"),
    ("allow_loopback_source_addresses", False, "sources may be on this machine"),
    ("allow_link_local_source_addresses", False, "sources may have link-local addresses: cloud metadata is in reach"),
    ("ignore_ssl_verification", False, "the certificates of origins are not checked"),
    ("cookie_passthrough_all", False, "every origin is told clients' cookies"),
    ("allow_security_options", False, "URLs may lift the limits"),
    ("allow_bypass_cache", False, "URLs may have any image made anew each time"),
    ("png_unlimited", False, "a small PNG may unpack to any number of bytes"),
    ("svg_unlimited", False, "SVG of any length is read before its limits of time count"),
    ("sanitize_svg", True, "SVG is passed on with its scripts"),
    ("max_src_resolution", None, "originals may have any number of pixels"),
    ("max_src_file_size", None, "originals may have any number of bytes"),
    ("source_memory_max_bytes", None, "originals may take any amount of memory together"),
    ("max_result_dimension", None, "results may have any size"),
    ("max_clients", None, "any number of clients is taken, until there are no descriptors left"),
    ("trusted_signatures", (), "with one of these signatures anybody can have any image made"),
)


class Settings(
    ServiceSettings,
    AccessSettings,
    SourcesSettings,
    ResultSettings,
    EncoderSettings,
    CachesSettings,
    AnswersSettings,
    PluginsSettings,
):
    """All settings; frozen. `embedded` says that there is neither a key nor any client elsewhere: it is tried out."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(())

    @property
    def given(self) -> dict[str, Any]:
        """What was configured, as it was written: from it an equal value can be made in another process."""
        return self._given

    @classmethod
    def from_given(cls, given: dict[str, Any]) -> Settings:
        """The settings that *given* describes, each judged by itself; `pydantic.ValidationError` with all mistakes."""
        settings = cls.model_validate(given)
        if settings.embedded:
            settings = cls.model_validate(_TRIED_OUT | given)
        settings._given.update(given)  # noqa: SLF001  # its own
        return settings

    def with_notes(self, notes: Iterable[str]) -> Settings:
        """Itself, with *notes* to the operator among its warnings: for who has just made it."""
        self._notes = tuple(notes)
        return self

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        """What pydantic would let pass: `true` as the number 1, and NUL, which no file name or header can hold."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation in {int, float}:
            raise ValueError("must be a number, not a boolean")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("must not contain NUL")
        return value

    @property
    def embedded(self) -> bool:
        """Whether somebody tries it out: without a key, and on this machine only."""
        return not self.key and not self.allow_unsigned and self.on_loopback

    @property
    def listeners(self) -> tuple[BindAddress, ...]:
        """Where to listen."""
        return parse_bind(self.bind or (_BIND if self.key or self.allow_unsigned else _KEYLESS_BIND))

    @property
    def metrics_listeners(self) -> tuple[BindAddress, ...]:
        """Where to serve metrics apart from the rest."""
        return parse_bind(self.prometheus_bind)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return all(one.is_loopback for one in self.listeners)

    @property
    def unsigned_allowed(self) -> bool:
        """Whether `unsafe` is taken: where it is allowed, or nobody else can reach a server without keys."""
        return self.allow_unsigned or not self.key

    @property
    def direct_only(self) -> bool:
        """Whether only this machine is served, since there is no key: what a proxy forwards may be anybody's."""
        return not self.key and not self.allow_unsigned

    @property
    def grace(self) -> float:
        """Seconds for requests under way after SIGTERM."""
        return self.graceful_stop_timeout or 2 * self.timeout

    @property
    def time_to_stop(self) -> float:
        """Seconds from SIGTERM until the last request is given up."""
        return self.shutdown_delay + self.grace

    @property
    def cache(self) -> tuple[str, str]:
        """The type of the cache and its directory: hybrid, in the user's cache directory, when it is tried out."""
        if not self.embedded or "cache_type" in self._given:
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

    @property
    def kept_directory(self) -> str:
        """A directory that outlives the server: that of the caches on disk; empty where there is none."""
        kind, path = self.cache
        on_disk = {kind, self.source_cache_type} & {"disk", "hybrid"}
        return path if on_disk else ""

    def warnings(self) -> tuple[str, ...]:
        """One line for each risky setting, and what else is to be told of what was configured."""
        lines = [*self._notes]
        lines += [
            f"IMGFORGE_{name.upper()}: {text}"
            for name, safe, text in _RISKS
            if (getattr(self, name) == 0 if safe is None else getattr(self, name) != safe)
        ]
        if self.key and self.signature_size < _SAFE_SIGNATURE:
            lines.append(f"IMGFORGE_SIGNATURE_SIZE={self.signature_size}: signatures that short can be guessed")
        if any(network.endswith("/0") for network in self.trusted_proxies):
            lines.append("IMGFORGE_TRUSTED_PROXIES: clients may say of themselves who they are")
        if self.local_filesystem_root and os.path.realpath(self.local_filesystem_root) == os.sep:
            lines.append(
                "IMGFORGE_LOCAL_FILESYSTEM_ROOT=/: URLs may read all files that this user may, not images only"
            )
        if self.cache[1] and not self.cache_disk_max_bytes:
            lines.append("IMGFORGE_CACHE_DISK_MAX_BYTES: the cache may fill the disk")
        if self.direct_only:
            lines.append(
                "no IMGFORGE_KEY: unsigned URLs are taken, from this machine only; behind a proxy set IMGFORGE_KEY and "
                "IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true, for what is forwarded is refused until then"
            )
        return tuple(lines)

    def masked(self) -> dict[str, Any]:
        """All values by name, with secrets, and the names and passwords in URLs, replaced."""
        values = json.loads(_USER_INFO.sub("***@", self.model_dump_json()))
        return {name: "***" if name in SECRET and value else value for name, value in values.items()}
