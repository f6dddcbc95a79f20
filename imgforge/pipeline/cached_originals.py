"""Originals as cache entries, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from imgforge.model import CacheEntry, SourceImage

__all__ = ["matches", "original_of", "renewed", "stale_original"]


def renewed(cached: CacheEntry, not_modified: SourceImage, now: float) -> CacheEntry:
    """*cached* updated by its origin's answer 304: the headers of the answer replace the cached ones."""
    return replace(
        cached,
        stored_at=now,
        asked_at=not_modified.asked_at or now,
        source_etag=not_modified.etag or cached.source_etag,
        source_last_modified=not_modified.last_modified or cached.source_last_modified,
        source_cache_control=not_modified.cache_control or cached.source_cache_control,
        source_expires=not_modified.expires or cached.source_expires,
        source_headers=tuple((dict(cached.source_headers) | dict(not_modified.headers)).items()),
    )


def original_of(entry: CacheEntry) -> SourceImage:
    return SourceImage(
        entry.rendition.body,
        entry.rendition.content_type,
        entry.source_etag,
        entry.source_last_modified,
        entry.source_cache_control,
        entry.source_expires,
        headers=entry.source_headers,
        asked_at=entry.asked_at or entry.stored_at,
    )


def stale_original(entry: CacheEntry) -> SourceImage:
    """The original in *entry*, marked as stale by the time at which it was stored: its results are no newer."""
    return replace(original_of(entry), stored_at=entry.stored_at)


def matches(conditions: Mapping[str, str], original: SourceImage) -> bool:
    """Whether *original* is what the caller has cached: by its ETag if the caller has one, else by Last-Modified."""
    if "if-none-match" in conditions:
        return conditions["if-none-match"] == original.etag
    return "if-modified-since" in conditions and conditions["if-modified-since"] == original.last_modified
