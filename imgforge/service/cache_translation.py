"""Translates the settings of the caches."""

from __future__ import annotations

from pathlib import Path

from imgforge.cache import CacheSettings, RedisSettings, SharedTierSettings
from imgforge.config import Settings
from imgforge.model import parse_redis_url
from imgforge.service.bucket_translation import bucket_settings

__all__ = ["cache_settings", "original_cache_settings", "shared_tier_settings"]

_NO_LIMIT = 1 << 40


def cache_settings(settings: Settings, directory: str = "") -> CacheSettings:
    """The cache of results; *directory* is shared by all processes of the server."""
    kind, path = settings.prepare_cache()
    return CacheSettings(
        type=kind,
        memory_max_bytes=settings.cache_memory_max_bytes,
        memory_capacity=settings.cache_memory_capacity,
        disk_path=path,
        disk_max_bytes=settings.cache_disk_max_bytes,
        disk_capacity=settings.cache_disk_capacity,
        disk_min_free=settings.cache_disk_min_free_bytes,
        directory=directory,
        shared=shared_tier_settings(settings),
    )


def shared_tier_settings(settings: Settings) -> SharedTierSettings:
    """The tier that a fleet shares; its `use` is empty where there is none."""
    of_use = max(settings.cache_stale_while_revalidate, settings.cache_stale_if_error)
    return SharedTierSettings(
        use=settings.cache_use,
        timeout=settings.cache_shared_timeout,
        keep=settings.cache_ttl + of_use if settings.cache_ttl else 0.0,
        bucket=bucket_settings(settings),
        redis=_redis_settings(settings),
        plugins=settings.plugin,
    )


def _redis_settings(settings: Settings) -> RedisSettings | None:
    url = settings.cache_redis_url
    return RedisSettings(parse_redis_url(url), settings.cache_redis_max_entry_bytes) if url else None


def original_cache_settings(settings: Settings, processes: int, directory: str = "") -> CacheSettings:
    """The cache of originals, in a directory beside the results; its memory is shared out over *processes*."""
    kind, total = settings.source_cache_type, settings.source_cache_max_bytes
    return CacheSettings(
        type=kind,
        memory_max_bytes=(total if kind == "memory" else total // 8) // processes,
        memory_capacity=_NO_LIMIT,
        disk_path=str(Path(settings.cache_disk_path, "originals")),
        disk_max_bytes=total,
        disk_capacity=0,
        disk_min_free=settings.cache_disk_min_free_bytes,
        # A purge journal of their own: the purge of one image purges its original, but not the original's other images.
        directory=directory and str(Path(directory, "originals")),
        name="originals",
    )
