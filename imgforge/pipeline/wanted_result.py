"""A result that is to be made, with what the cache has of it."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.model import ImageRequest, InfoRequest
from imgforge.pipeline.result_cache import CachedResult, ResultCache

__all__ = ["WantedResult"]


@dataclass(frozen=True, slots=True, eq=False)
class WantedResult:
    """A result to make: *key* is its place in *results*, *stale* what the cache has, *purged_at* the last purge."""

    request: ImageRequest | InfoRequest
    accepted: tuple[str, ...]
    results: ResultCache
    key: bytes
    stale: CachedResult | None
    purged_at: float

    @property
    def has_stale(self) -> bool:
        """Whether there is a stale result that may be served where the origin fails."""
        return self.stale is not None and self.results.may_be_served(self.stale)

    @property
    def coalescing_key(self) -> tuple[bytes, str, float, ResultCache]:
        """What equal work has in common: also its fallback image, which is no part of an entry's key.

        Requests that came after a purge do not join work begun before it.
        """
        return self.key, self.request.delivery.fallback_image_url, self.purged_at, self.results
