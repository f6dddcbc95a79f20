"""From the settings to what each part needs to know: its own small value, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from imgforge import __version__
from imgforge.cache import CacheSettings
from imgforge.config import Settings
from imgforge.effects import AutoQuality, Unsharp
from imgforge.observability import parse_level_spec
from imgforge.processing import ProcessingSettings
from imgforge.sources import AddressPolicy, SourceSettings
from imgforge.urls import UrlParser, UrlSettings
from imgforge.web import AnswerSettings, Negotiation

__all__ = [
    "answer_settings",
    "cache_settings",
    "check",
    "negotiation",
    "operators_image",
    "processing_settings",
    "source_settings",
    "url_settings",
]

_TAG_HEADERS = {
    "all": ("Cache-Tag", "X-Amz-Meta-Cache-Tag"),
    "cloudflare": ("Cache-Tag",),
    "cloudfront": ("X-Amz-Meta-Cache-Tag",),
    "none": (),
}


def url_settings(settings: Settings) -> UrlSettings:
    """The rules for URLs."""
    return UrlSettings(
        keys=tuple(zip(settings.key, settings.salt, strict=True)),
        signature_size=settings.signature_size,
        trusted_signatures=settings.trusted_signatures,
        allow_unsigned=settings.unsigned_allowed,
        path_prefix=settings.path_prefix,
        arguments_separator=settings.arguments_separator,
        presets=settings.presets,
        info_presets=settings.info_presets,
        only_presets=settings.only_presets,
        allow_security_options=settings.allow_security_options,
        allowed_processing_options=frozenset(settings.allowed_processing_options),
        base_url=settings.base_url,
        url_replacements=settings.url_replacements,
        base64_url_includes_filename=settings.base64_url_includes_filename,
        encryption_key=settings.source_url_encryption_key[0] if settings.source_url_encryption_key else b"",
    )


def source_settings(settings: Settings) -> SourceSettings:
    """The rules for originals."""
    return SourceSettings(
        download_timeout=settings.download_timeout,
        max_redirects=settings.max_redirects,
        user_agent=settings.user_agent.replace("%current_version", __version__),
        keep_alive_timeout=settings.client_keep_alive_timeout,
        ignore_ssl_verification=settings.ignore_ssl_verification,
        ca_file=settings.ca_file,
        addresses=AddressPolicy(
            allow_loopback=settings.allow_loopback_source_addresses,
            allow_link_local=settings.allow_link_local_source_addresses,
            allow_private=settings.allow_private_source_addresses,
        ),
        allowed_sources=settings.allowed_sources,
        local_filesystem_root=settings.local_filesystem_root,
    )


def processing_settings(settings: Settings) -> ProcessingSettings:
    """The defaults and limits of results: every field is the setting of its name, but for two records."""
    records: dict[str, Any] = {
        "autoquality": AutoQuality(
            settings.autoquality_method,
            settings.autoquality_target,
            settings.autoquality_min,
            settings.autoquality_max,
            settings.autoquality_allowed_error,
        ),
        "unsharp_masking": Unsharp(
            settings.unsharp_masking_mode, settings.unsharp_masking_weight, settings.unsharp_masking_divider
        ),
    }
    names = ProcessingSettings.__dataclass_fields__.keys() - records.keys()
    return ProcessingSettings(**{name: getattr(settings, name) for name in names}, **records)


def answer_settings(settings: Settings) -> AnswerSettings:
    """What answers say."""
    return AnswerSettings(
        ttl=settings.ttl,
        cache_control_passthrough=settings.cache_control_passthrough,
        use_etag=settings.use_etag,
        etag_buster=settings.etag_buster,
        use_last_modified=settings.use_last_modified,
        set_canonical_header=settings.set_canonical_header,
        return_attachment=settings.return_attachment,
        debug_headers=settings.enable_debug_headers,
        fallback_status=settings.fallback_image_http_code,
        fallback_ttl=settings.fallback_image_ttl,
        cache_tag_headers=_TAG_HEADERS[settings.cache_tags_format],
    )


def negotiation(settings: Settings) -> Negotiation:
    """Which formats are negotiated."""
    names = ("webp", "avif", "jxl")
    return Negotiation(
        auto=frozenset(name for name in names if getattr(settings, f"auto_{name}")),
        enforced=frozenset(name for name in names if getattr(settings, f"enforce_{name}")),
    )


def cache_settings(settings: Settings) -> CacheSettings:
    """What is kept; without a usable directory the memory alone."""
    kind, path = settings.cache
    return CacheSettings(
        type=kind,
        memory_max_bytes=settings.cache_memory_max_bytes,
        memory_capacity=settings.cache_memory_capacity,
        disk_path=path,
        disk_max_bytes=settings.cache_disk_max_bytes,
        disk_capacity=settings.cache_disk_capacity,
        ttl=settings.cache_ttl,
    )


def operators_image(settings: Settings, name: str) -> bytes | None:
    """The image that the settings *name*_data or *name*_path hold."""
    data: bytes = getattr(settings, f"{name}_data")
    path: str = getattr(settings, f"{name}_path")
    return data or (Path(path).read_bytes() if path else None)


def check(settings: Settings) -> None:
    """Raise `ValueError` for what only the parts themselves can judge: presets, option names, files, log levels."""
    UrlParser(url_settings(settings))
    parse_level_spec(settings.log_level)
    for name in ("watermark_path", "fallback_image_path", "ca_file"):
        path = getattr(settings, name)
        if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise ValueError(f"IMGFORGE_{name.upper()}={path!r} must name a readable file")
    if settings.ca_file and b"-----BEGIN CERTIFICATE-----" not in Path(settings.ca_file).read_bytes():
        raise ValueError(f"IMGFORGE_CA_FILE={settings.ca_file!r} must hold PEM certificates")
    if settings.local_filesystem_root and not Path(settings.local_filesystem_root).is_dir():
        raise ValueError(f"IMGFORGE_LOCAL_FILESYSTEM_ROOT={settings.local_filesystem_root!r} must name a directory")
