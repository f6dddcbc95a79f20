"""Settings that lower a protection: what the log warns of at the start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgforge.config.settings import Settings

__all__ = ["risks"]

_SAFE_SIGNATURE = 8  # bytes

# Settings that lower a protection: name, safe value (None: any but 0), and the warning for another value.
_RISKS: tuple[tuple[str, object, str], ...] = (
    ("allow_unsigned", False, "unsigned URLs are taken: anybody can have any image made"),
    ("allow_loopback_source_addresses", False, "sources may be on this machine"),
    ("allow_link_local_source_addresses", False, "sources may have link-local addresses: cloud metadata is in reach"),
    ("ignore_ssl_verification", False, "the certificates of origins are not checked"),
    ("cookie_passthrough_all", False, "clients' cookies are sent to every origin"),
    ("allow_security_options", False, "URLs may lift the limits"),
    ("allow_bypass_cache", False, "URLs may bypass the cache, so that each request costs a render"),
    ("development_errors_mode", False, "errors show every client causes, addresses and tracebacks"),
    ("png_unlimited", False, "a small PNG may unpack to any number of bytes"),
    ("svg_unlimited", False, "SVG of any length is parsed before a time limit applies"),
    ("sanitize_svg", True, "SVG is served with its scripts"),
    ("max_src_resolution", None, "originals may have any number of pixels"),
    ("max_src_file_size", None, "originals may have any number of bytes"),
    ("source_memory_max_bytes", None, "originals may take any amount of memory"),
    ("max_result_dimension", None, "results may have any size"),
    ("max_clients", None, "connections are limited by file descriptors only"),
    ("trusted_signatures", (), "anybody who knows one of these signatures can have any image made"),
)


def risks(settings: Settings) -> Iterator[str]:
    """One line for each risk that the operator takes."""
    for name, safe, text in _RISKS:
        value = getattr(settings, name)
        if value == 0 if safe is None else value != safe:
            yield f"IMGFORGE_{name.upper()}: {text}"
    if settings.key and settings.signature_size < _SAFE_SIGNATURE:
        yield f"IMGFORGE_SIGNATURE_SIZE={settings.signature_size}: signatures that short can be guessed"
    if any(network.endswith("/0") for network in settings.trusted_proxies):
        yield "IMGFORGE_TRUSTED_PROXIES: every client is a trusted proxy and can forge its own address"
    if settings.local_filesystem_root and os.path.realpath(settings.local_filesystem_root) == os.sep:
        yield "IMGFORGE_LOCAL_FILESYSTEM_ROOT=/: URLs may read all files that this user may, not images only"
    if settings.prepare_cache()[1] and not settings.cache_disk_max_bytes:
        yield "IMGFORGE_CACHE_DISK_MAX_BYTES: the cache may fill the disk"
    if settings.direct_only:
        yield (
            "no IMGFORGE_KEY: unsigned URLs are taken, from this machine only, and forwarded requests are refused; "
            "behind a proxy set IMGFORGE_KEY and IMGFORGE_SALT, or IMGFORGE_ALLOW_UNSIGNED=true"
        )
