"""The cache of results, and what each cached result may still be used for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache import Cache, PurgeKind
from imgforge.errors import ImgforgeError, NotCached
from imgforge.model import CacheEntry, ImageRequest, InfoRequest
from imgforge.observability import keeping_request_id
from imgforge.pipeline.staleness import StalenessPolicy

__all__ = ["CacheState", "CachedResult", "ResultCache"]


class CacheState(Enum):
    """How the cache took part in a result."""

    MADE = "made"  # a miss, or a stale entry: the result was rendered
    FRESH = "fresh"  # a fresh entry
    STALE = "stale"  # a stale entry, served all the same
    RENEWED = "renewed"  # a stale entry whose original has not changed


@dataclass(frozen=True, slots=True)
class CachedResult:
    """The result of a request for an image, or for facts about one.

    `tier` names the cache tier that had the entry under `key`, None where the entry was made; `key` is empty where
    results are not cached. The entry is fresh `until` (seconds since the epoch). `failure` is the source's error where
    the entry is of a fallback image.
    """

    entry: CacheEntry
    tier: str | None
    failure: ImgforgeError | None = None
    key: bytes = b""
    until: float = math.inf
    state: CacheState = CacheState.MADE


class ResultCache:
    """Results in *cache* under the operator's *policy*; without a cache every look-up misses."""

    log = Logger()

    def __init__(self, clock: IReactorTime, cache: Cache | None, policy: StalenessPolicy) -> None:
        self._clock = clock
        self._cache = cache
        self._policy = policy
        self.name = cache.name if cache is not None else ""

    async def find(self, key: bytes) -> CachedResult | None:
        """The result under *key*, fresh or stale."""
        found = await self._cache.get(key) if self._cache is not None else None
        if found is None:
            return None
        entry, tier = found
        state = CacheState.FRESH if self._policy.is_fresh(entry, self._clock.seconds()) else CacheState.STALE
        return self._result(key, entry, tier, state)

    async def servable(self, key: bytes) -> CachedResult:
        """The result under *key* that a client gets at once; `NotCached` where one would have to be made."""
        found = await self.find(key)
        if found is None:
            raise NotCached("the result is not in the cache")
        if found.state is not CacheState.FRESH and not self.may_be_served_while_revalidated(found):
            raise NotCached("the result is in the cache, but it is stale")
        return found

    async def make_once(self, key: bytes, make: Callable[[], Awaitable[CachedResult]]) -> CachedResult:
        """The result of *make*; where another process that shares the disk is making it, that one's result."""
        if self._cache is None:
            return await make()

        def result_of(entry: CacheEntry) -> CachedResult | None:
            if not self._policy.is_fresh(entry, self._clock.seconds()):
                return None
            return self._result(key, entry, None, CacheState.MADE)

        def is_cached(result: CachedResult) -> bool:
            return result.state is not CacheState.STALE and result.failure is None

        return await self._cache.once(key, make, result_of, is_cached)

    async def purge(self, kind: PurgeKind, value: str) -> int:
        """Remove the matching entries in all processes; returns how many were removed."""
        return 0 if self._cache is None else await self._cache.purge(kind, value)

    def purged_at(self, key: bytes, request: ImageRequest | InfoRequest) -> float:
        """When the entry that *request* would make was last purged; minus infinity for never."""
        if self._cache is None:
            return -math.inf
        return self._cache.purged_at(key, request.source, request.delivery.cache_tags)

    def store(self, key: bytes, entry: CacheEntry) -> CachedResult:
        """The result of a rendition that was made just now; it is cached if it is storable."""
        self._put(key, entry)
        return self._result(key, entry, None, CacheState.MADE)

    def renew(self, stale: CachedResult, entry: CacheEntry) -> CachedResult:
        """The result *stale* with *entry* in its place, which is fresh again."""
        self._put(stale.key, entry)
        return self._result(stale.key, entry, stale.tier, CacheState.RENEWED)

    def _put(self, key: bytes, entry: CacheEntry) -> None:
        """Store *entry* if its origin allows it. The answer does not wait for a slow disk."""
        if self._cache is not None and self._policy.is_storable(entry.source_cache_control, entry.source_expires):
            self._cache.put(key, entry).addErrback(keeping_request_id(self._log_unstored))

    async def written(self, key: bytes) -> None:
        """Returns when the entry under *key* is no longer being written."""
        if self._cache is not None:
            await self._cache.written(key)

    def _log_unstored(self, failure: Failure) -> None:
        self.log.failure("a result could not be cached; the client got it all the same", failure)

    async def remove(self, key: bytes) -> None:
        """Remove the entry under *key*."""
        if self._cache is not None:
            await self._cache.remove(key)

    def may_be_served_while_revalidated(self, stale: CachedResult) -> bool:
        """Whether *stale* may be served while it is revalidated in the background."""
        return self._policy.may_be_served_while_revalidated(stale.entry, self._clock.seconds())

    def may_be_served_on_error(self, stale: CachedResult) -> bool:
        """Whether *stale* may be served because its origin fails."""
        return self._policy.may_be_served_on_error(stale.entry, self._clock.seconds())

    def may_be_served(self, stale: CachedResult) -> bool:
        """Whether *stale* may be served at all."""
        return self.may_be_served_while_revalidated(stale) or self.may_be_served_on_error(stale)

    def _result(self, key: bytes, entry: CacheEntry, tier: str | None, state: CacheState) -> CachedResult:
        cached_under = key if self._cache is not None else b""
        return CachedResult(entry, tier, None, cached_under, self._policy.fresh_until(entry), state)
