"""Renditions that are kept, and what each of them is still good for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache import Cache, Kind
from imgforge.errors import ImgforgeError
from imgforge.model import CacheEntry, ImageRequest
from imgforge.observability import keeping_request_id
from imgforge.pipeline.staleness import StalenessPolicy

__all__ = ["CacheState", "CachedResult", "ResultCache"]


class CacheState(Enum):
    """How an answer came about."""

    MADE = "made"  # there was none, or a stale one
    FRESH = "fresh"  # kept
    STALE = "stale"  # kept too long, and served all the same
    RENEWED = "renewed"  # kept too long, but its origin says that it still holds


@dataclass(frozen=True, slots=True)
class CachedResult:
    """What an image request ends with.

    `tier` names the cache tier that had it under `key`, None where it was made; `key` is empty where nothing is kept.
    It is fresh `until` (seconds since the epoch). `failure` is why a fallback image stands in for the source.
    """

    entry: CacheEntry
    tier: str | None
    failure: ImgforgeError | None = None
    key: bytes = b""
    until: float = math.inf
    state: CacheState = CacheState.MADE


class ResultCache:
    """A cache of renditions under the operator's terms; without a cache nothing is found."""

    log = Logger()

    def __init__(self, clock: IReactorTime, cache: Cache | None, freshness: StalenessPolicy) -> None:
        self._clock = clock
        self._cache = cache
        self._freshness = freshness
        self.name = cache.name if cache is not None else ""

    async def find(self, key: bytes) -> CachedResult | None:
        """What is kept under *key*, fresh or stale."""
        found = await self._cache.get(key) if self._cache is not None else None
        if found is None:
            return None
        entry, tier = found
        state = CacheState.FRESH if self._freshness.fresh(entry, self._clock.seconds()) else CacheState.STALE
        return self._served(key, entry, tier, state)

    async def once(self, key: bytes, make: Callable[[], Awaitable[CachedResult]]) -> CachedResult:
        """What *make* returns; where another process that shares the disk is at it, what that has made."""
        if self._cache is None:
            return await make()

        def serve(entry: CacheEntry) -> CachedResult | None:
            if not self._freshness.fresh(entry, self._clock.seconds()):
                return None
            return self._served(key, entry, None, CacheState.MADE)

        def kept(served: CachedResult) -> bool:
            return served.state is not CacheState.STALE and served.failure is None

        return await self._cache.once(key, make, serve, kept)

    async def purge(self, kind: Kind, value: str) -> int:
        """Forget what matches, in all processes; how many entries were removed."""
        return 0 if self._cache is None else await self._cache.purge(kind, value)

    def purged_at(self, key: bytes, request: ImageRequest) -> float:
        """When the entry that *request* would make was last purged; minus infinity for never."""
        if self._cache is None:
            return -math.inf
        return self._cache.purged_at(key, request.source, request.delivery.cache_tags)

    def made(self, key: bytes, entry: CacheEntry) -> CachedResult:
        """A rendition that was made just now; it is kept from now on, if it may be."""
        self.put(key, entry)
        return self._served(key, entry, None, CacheState.MADE)

    def renewed(self, stale: CachedResult, entry: CacheEntry) -> CachedResult:
        """*entry* is what *stale* was, and fresh again."""
        self.put(stale.key, entry)
        return self._served(stale.key, entry, stale.tier, CacheState.RENEWED)

    def put(self, key: bytes, entry: CacheEntry) -> None:
        """Keep *entry*, if its origin lets us. Not waited for: a slow disk delays no answer."""
        if self._cache is not None and self._freshness.keeps(entry.source_cache_control, entry.source_expires):
            self._cache.put(key, entry).addErrback(keeping_request_id(self._not_kept))

    def _not_kept(self, failure: Failure) -> None:
        self.log.failure("an entry could not be cached; it was sent all the same", failure)

    async def remove(self, key: bytes) -> None:
        """Keep what is under *key* no longer."""
        if self._cache is not None:
            await self._cache.remove(key)

    def may_be_renewed_later(self, stale: CachedResult) -> bool:
        """Whether *stale* may be served while it is renewed."""
        return self._freshness.may_be_renewed_later(stale.entry, self._clock.seconds())

    def may_stand_in(self, stale: CachedResult) -> bool:
        """Whether *stale* may be served since its origin fails."""
        return self._freshness.may_stand_in(stale.entry, self._clock.seconds())

    def may_be_served(self, stale: CachedResult) -> bool:
        """Whether *stale* is still good for anything."""
        return self.may_be_renewed_later(stale) or self.may_stand_in(stale)

    def _served(self, key: bytes, entry: CacheEntry, tier: str | None, state: CacheState) -> CachedResult:
        known = key if self._cache is not None else b""
        return CachedResult(entry, tier, None, known, self._freshness.until(entry), state)
