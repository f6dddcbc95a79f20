"""Settings that only imgproxy or the Rust imgforge has: they come along when an operator migrates.

A setting without any effect on results is accepted, with a note in the log. A setting that switches on a feature that
imgforge does not have ends the start with a line that names the feature. The settings that belong to such a feature are
accepted, since they do nothing in the peer either while it is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["PeerSetting", "peer_setting", "unread_imgproxy_variables"]

# Values that switch nothing on: Go's false, as imgproxy reads it.
_OFF = frozenset({"", "0", "f", "false"})
_MOST_NAMED = 8

_MEMORY = "imgforge tunes libvips and the allocator itself"
_LICENCE = "there is nothing to license"

# Why a setting has no effect, by its name.
_IDLE: Mapping[str, str] = {
    "buffer_pool_calibration_threshold": _MEMORY,
    "cache_report_errors": "faults of the cache are logged and counted, and the image is served",
    "cache_swift_connect_timeout_seconds": "IMGFORGE_CACHE_SWIFT_TIMEOUT_SECONDS bounds a request as a whole",
    "download_buffer_size": _MEMORY,
    "fail_on_deprecation": "no setting is deprecated, and an unknown one always ends the start",
    "free_memory_interval": _MEMORY,
    "license_development_mode": _LICENCE,
    "license_key": _LICENCE,
    "log_mem_stats": "libvips' memory is in the metrics",
    "malloc": _MEMORY,
    "network": "IMGFORGE_BIND has it: host:port, [address]:port or /path",
    "vips_cache_trace": "libvips' operation cache is off",
    "vips_leak_check": "the metrics show libvips' memory",
}


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature of a peer that imgforge does not have.

    `switches` are the settings that switch it on, `prefix` that of the settings that belong to it, `missing` what the
    operator is told.
    """

    switches: tuple[str, ...]
    prefix: str
    missing: str


_ENCRYPTED = "objects that clients of S3 encrypted are not decrypted"
_MONITORS = "metrics are at /metrics, for Prometheus"
_NETS = "there is no machine learning: no object detection, no classification, no learned quality"

_FEATURES = (
    _Feature(("s3_use_decryption_client",), "s3_use_decryption_", _ENCRYPTED),
    _Feature(("cache_s3_use_decryption_client",), "cache_s3_use_decryption_", _ENCRYPTED),
    _Feature(("pprof_bind",), "pprof_", _MONITORS),
    _Feature(("enable_video_thumbnails",), "video_thumbnail_", "videos are not read"),
    _Feature(("object_detection_net",), "object_detection_", _NETS),
    _Feature(("classification_net",), "classification_", _NETS),
    _Feature(tuple(f"autoquality_{name}_net" for name in ("jpeg", "webp", "avif", "jxl")), "autoquality_ml_", _NETS),
    _Feature((), "ml_", _NETS),
    _Feature(("smart_crop_advanced", "smart_crop_face_detection"), "smart_crop_", "smart crops are libvips' own"),
)


@dataclass(frozen=True, slots=True)
class PeerSetting:
    """A setting that only a peer has: why it has no effect (empty: it is switched off), or what is `missing`."""

    why: str
    missing: bool = False


_SWITCHED_OFF = PeerSetting("")


def peer_setting(name: str, value: object) -> PeerSetting | None:
    """The peers' setting *name*, in lower case, with *value*; None where no peer has a setting of that name."""
    if name in _IDLE:
        return PeerSetting(_IDLE[name])
    for feature in _FEATURES:
        if name in feature.switches:
            return _SWITCHED_OFF if str(value).strip().lower() in _OFF else PeerSetting(feature.missing, missing=True)
    # By prefix only afterwards: a switch may begin with the prefix of another feature.
    feature_of = next((feature for feature in _FEATURES if name.startswith(feature.prefix)), None)
    return None if feature_of is None else PeerSetting(feature_of.missing)


def unread_imgproxy_variables(names: Iterable[str], prefix: str) -> str:
    """The line that asks to rename variables with imgproxy's prefix; empty where there are none."""
    known = set(names)
    unread = sorted(
        name
        for name in known
        if name.startswith("IMGPROXY_") and name.isprintable() and prefix + name.removeprefix("IMGPROXY_") not in known
    )
    if not unread:
        return ""
    more = len(unread) - _MOST_NAMED
    named = ", ".join(unread[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{named}: not read; rename the prefix IMGPROXY_ to {prefix}"
