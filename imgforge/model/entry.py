"""The entry of a cache."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model.image import Rendition

__all__ = ["CacheEntry"]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A rendition, or an original where the format is "", with the metadata that HTTP needs.

    Attributes
    ----------
    stored_at
        When the entry was made, in seconds since the epoch.
    etag
        The strong validator of our answer, without quotes.
    source
        The original's URL, by which the entry can be purged.
    source_etag, source_last_modified, source_cache_control, source_expires, source_headers
        Headers of the origin's answer, kept for revalidation and passthrough; "" for a header that was missing.
    tags
        Tags by which the entry can be purged.
    asked_at
        When the origin was asked for the original, in seconds since the epoch; 0 is `stored_at`. A later purge covers
        the entry.
    """

    rendition: Rendition
    stored_at: float
    etag: str
    source: str = ""
    source_etag: str = ""
    source_last_modified: str = ""
    source_cache_control: str = ""
    source_expires: str = ""
    tags: tuple[str, ...] = ()
    asked_at: float = 0.0
    source_headers: tuple[tuple[str, str], ...] = ()
