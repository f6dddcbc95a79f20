"""Translates the settings into the small value that each part needs."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from imgforge import __version__, processing
from imgforge.cache import fingerprint
from imgforge.config import Settings
from imgforge.model import AutoQuality, Unsharp
from imgforge.pipeline import CachesSettings, PipelineSettings, StalenessPolicy
from imgforge.processing import ProcessingSettings, sniffed_media_type
from imgforge.service.development_errors import explaining_errors
from imgforge.service.shares import IDLE_CONNECTIONS
from imgforge.service.store_translation import azure_settings, gcs_settings, s3_settings, swift_settings
from imgforge.sources import (
    PROXY_VARIABLES,
    AddressPolicy,
    SourceSettings,
)
from imgforge.web import AnswerSettings, Clients, ConnectionLimits, Negotiation, Passthrough, ServerSettings

__all__ = [
    "answer_headers",
    "answer_settings",
    "caches_settings",
    "connection_limits",
    "negotiation",
    "operators_image",
    "passthrough",
    "pipeline_settings",
    "processing_settings",
    "server_settings",
    "source_settings",
]

_IDLE_CONNECTIONS_PER_HOST = 64  # that are kept where there is no limit of connections
_STORE_RETRIES = 2  # where the operator sets no number

_TAG_HEADERS = {
    "all": ("Cache-Tag", "X-Amz-Meta-Cache-Tag"),
    "cloudflare": ("Cache-Tag",),
    "cloudfront": ("X-Amz-Meta-Cache-Tag",),
    "none": (),
}


def operators_image(settings: Settings, name: str) -> bytes | None:
    """The image of the settings *name*_data or *name*_path; None without one."""
    data: bytes = getattr(settings, f"{name}_data")
    path: str = getattr(settings, f"{name}_path")
    return data or (Path(path).read_bytes() if path else None)


def source_settings(settings: Settings) -> SourceSettings:
    """The settings of sources."""
    return SourceSettings(
        download_timeout=settings.download_timeout,
        max_redirects=settings.max_redirects,
        retries=settings.source_retries,
        store_retries=settings.source_retries if "source_retries" in settings.given else _STORE_RETRIES,
        hedge=settings.source_hedge == "auto",
        http2=settings.source_http2 == "auto",
        preconnect=settings.source_preconnect,
        preconnect_urls=tuple(filter(None, [settings.base_url])),
        data_urls=settings.allow_data_sources,
        breaker_failures=settings.source_breaker_failures,
        breaker_seconds=settings.source_breaker_seconds,
        user_agent=settings.user_agent.replace("%current_version", __version__),
        custom_headers={name.lower(): value for name, value in settings.custom_request_headers.items()},
        response_headers=settings.response_headers_passthrough,
        keep_alive_timeout=settings.client_keep_alive_timeout,
        connections_per_host=settings.source_connections_per_host,
        idle_connections_per_host=settings.source_connections_per_host or _IDLE_CONNECTIONS_PER_HOST,
        idle_connections=IDLE_CONNECTIONS,
        ignore_ssl_verification=settings.ignore_ssl_verification,
        ca_file=settings.ca_file,
        proxies={name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ},
        addresses=AddressPolicy(
            allow_loopback=settings.allow_loopback_source_addresses,
            allow_link_local=settings.allow_link_local_source_addresses,
            allow_private=settings.allow_private_source_addresses,
        ),
        allowed_sources=settings.allowed_sources,
        local_filesystem_root=settings.local_filesystem_root,
        query_separator=settings.source_url_query_separator,
        media_type_of=sniffed_media_type,
        plugins=settings.plugin,
        s3=s3_settings(settings) if settings.use_s3 else None,
        gcs=gcs_settings(settings) if settings.use_gcs else None,
        azure=azure_settings(settings) if settings.use_abs else None,
        swift=swift_settings(settings) if settings.use_swift else None,
    )


def processing_settings(settings: Settings) -> ProcessingSettings:
    """Defaults and limits of results: every field is the setting of its name, except for two nested values."""
    records: dict[str, Any] = {
        "autoquality": AutoQuality(
            settings.autoquality_method,
            settings.autoquality_target,
            settings.autoquality_min,
            settings.autoquality_max,
            settings.autoquality_allowed_error,
            settings.autoquality_format_min,
            settings.autoquality_format_max,
            settings.autoquality_max_resolution,
        ),
        "unsharp_masking": Unsharp(
            settings.unsharp_masking_mode, settings.unsharp_masking_weight, settings.unsharp_masking_divider
        ),
    }
    names = ProcessingSettings.__dataclass_fields__.keys() - records.keys()
    return ProcessingSettings(**{name: getattr(settings, name) for name in names}, **records)


def pipeline_settings(settings: Settings) -> PipelineSettings:
    """The settings of the pipeline, with the operator's watermark and fallback image."""
    results = processing_settings(settings)
    watermark = operators_image(settings, "watermark")
    return PipelineSettings(
        timeout=settings.timeout,
        max_src_file_size=settings.max_src_file_size,
        processing=results,
        fingerprint=fingerprint(
            __version__,
            processing.capabilities().version,
            results,
            watermark,
            settings.watermark_url,
            settings.local_filesystem_root,
        ),
        watermark=watermark,
        watermark_url=settings.watermark_url,
        fallback=operators_image(settings, "fallback_image"),
        fallback_url=settings.fallback_image_url,
        cache_presets_only=settings.cache_presets_only,
    )


def answer_settings(settings: Settings) -> AnswerSettings:
    """The settings of response headers."""
    return AnswerSettings(
        ttl=settings.ttl,
        stale_while_revalidate=settings.cache_control_swr,
        cache_control_passthrough=settings.cache_control_passthrough,
        use_etag=settings.use_etag,
        etag_buster=settings.etag_buster,
        use_last_modified=settings.use_last_modified,
        last_modified_buster=(
            datetime.fromisoformat(settings.last_modified_buster).timestamp() if settings.last_modified_buster else 0
        ),
        set_canonical_header=settings.set_canonical_header,
        return_attachment=settings.return_attachment,
        debug_headers=settings.enable_debug_headers,
        fallback_status=settings.fallback_image_http_code,
        fallback_ttl=settings.fallback_image_ttl,
        source_headers=settings.response_headers_passthrough,
        cache_tag_headers=_TAG_HEADERS[settings.cache_tags_format],
    )


def server_settings(settings: Settings, clients: Clients) -> ServerSettings:
    """The settings of all responses of a server for *clients*."""
    return ServerSettings(
        headers=answer_headers(settings),
        path_prefix=settings.path_prefix.rstrip("/").encode(),
        clients=clients,
        not_found_ttl=_not_found_ttl(settings),
        development_errors=explaining_errors(settings) if settings.development_errors_mode else None,
    )


def _not_found_ttl(settings: Settings) -> int:
    """How long CDNs may keep the 404 of a source: as the negative cache does, where the operator has chosen how long.

    Not at all where origins get headers or cookies of clients: the next client's may get another answer.
    """
    if "cache_not_found_ttl" not in settings.given or passthrough(settings):
        return 0
    return int(settings.cache_not_found_ttl)


def connection_limits(settings: Settings, max_clients: int) -> ConnectionLimits:
    """The time limits of connections, and a maximum of *max_clients*."""
    return ConnectionLimits(
        keep_alive=settings.keep_alive_timeout,
        read_timeout=settings.read_request_timeout,
        write_timeout=settings.write_response_timeout,
        max_clients=max_clients,
    )


def answer_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """The headers of every response, errors included."""
    own = {"Server": settings.server_name, "Access-Control-Allow-Origin": settings.allow_origin}
    named = {name: value for name, value in own.items() if value} | settings.custom_response_headers
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in named.items()]


def negotiation(settings: Settings) -> Negotiation:
    """The formats that the Accept header may choose."""
    names = ("webp", "avif", "jxl")
    return Negotiation(
        auto=frozenset(name for name in names if getattr(settings, f"auto_{name}")),
        enforced=frozenset(name for name in names if getattr(settings, f"enforce_{name}")),
    )


def passthrough(settings: Settings) -> Passthrough:
    """The headers and cookies of clients that origins get."""
    return Passthrough(
        settings.request_headers_passthrough,
        settings.cookie_passthrough,
        settings.cookie_passthrough_all,
        settings.cookie_base_url,
    )


def caches_settings(settings: Settings) -> CachesSettings:
    """Staleness and capacities of the caches."""
    return CachesSettings(
        memory_bytes=settings.source_memory_max_bytes,
        results=StalenessPolicy(
            settings.cache_ttl,
            settings.cache_stale_while_revalidate,
            settings.cache_stale_if_error,
            settings.cache_control_passthrough,
        ),
        failures=settings.cache_not_found_ttl,
        watermarks=settings.watermarks_cache_size,
        fallbacks=settings.fallback_images_cache_size,
    )
