"""What a cache tier keeps of one image."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model.image import Rendition

__all__ = ["CacheEntry"]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What a cache tier keeps: a rendition (or, with format "", an original) and what HTTP needs to know of it.

    `etag` is the strong validator of our answer, without quotes; `source_*` are the origin's own words, kept for
    revalidation and passthrough; `stored_at` is when it was made. For purging there are `source`, the original's URL,
    `tags`, and `asked_at`, when the origin was asked for it (0: just then): a later purge covers the entry.
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
