"""Fetches originals: cached, coalesced, and within the memory budget.

get ── failed recently? ── coalesce (equal requests wait for one fetch) ── cached and fresh? ────> SourceImage
                                                    └─ no ── fetch, conditionally if there are validators
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge import processing
from imgforge.cache import Cache, PurgeKind, original_key
from imgforge.errors import (
    CircuitOpen,
    ImgforgeError,
    NotAnImage,
    OriginFailed,
    OriginTimeout,
    SourceMissing,
    SourceTooLarge,
)
from imgforge.interfaces import Reserve
from imgforge.model import CacheEntry, Rendition, SourceImage
from imgforge.observability import Metrics, WorkRecord, keeping_request_id
from imgforge.pipeline.cached_originals import matches, original_of, renewed, stale_original
from imgforge.pipeline.limits import BudgetLease, MemoryBudget, Reservation
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.staleness import StalenessPolicy, validators
from imgforge.pipeline.stateful_coalescing import StatefulCoalescer
from imgforge.sources import SourceRegistry

__all__ = ["OriginalFetcher", "OriginalRequest", "OriginalStorage", "PassedHeaders", "check_format"]

_log = Logger()

# Bytes reserved for an original before its size is known: most need less.
_FIRST_RESERVATION = 1 << 20
PassedHeaders = tuple[tuple[str, str], ...]

# Sources on this host, which are not cached a second time.
_LOCAL_SCHEMES = ("local:", "sample:", "data:")


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """A request for an original; equal ones share one fetch.

    The original has at most *limit* bytes (0 is any). *validators* are the request headers (name, value) for what the
    caller has cached; if they match, the original is `not_modified`. *since* is when the image was last purged: what
    was cached until then is fetched anew. *passed* are headers that tell the origin of the client, *first* is how many
    bytes from the beginning on suffice (0: the whole is wanted); only an `OriginalFetcher` that stores nothing takes
    these two.
    """

    source: str
    limit: int
    validators: tuple[tuple[str, str], ...] = ()
    since: float = -math.inf
    passed: PassedHeaders = ()
    first: int = 0


@dataclass(frozen=True, slots=True)
class OriginalStorage:
    """What an `OriginalFetcher` keeps: originals in *cache*, None for none, under *policy*; and recent *failures*."""

    cache: Cache | None
    policy: StalenessPolicy
    failures: NegativeCache


class OriginalFetcher:
    """Returns originals by URL, from *storage* or from *sources*; their bytes are reserved in *budget*."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        sources: SourceRegistry,
        metrics: Metrics,
        budget: MemoryBudget,
        storage: OriginalStorage,
    ) -> None:
        self._clock = clock
        self._sources = sources
        self._metrics = metrics
        self._cache = storage.cache
        self._policy = storage.policy
        self._failures = storage.failures
        self._fetches: StatefulCoalescer[OriginalRequest, SourceImage, Reservation] = StatefulCoalescer(
            budget.reservation
        )

    @property
    def stores(self) -> bool:
        """Whether originals are cached."""
        return self._cache is not None

    def is_fetching(self, request: OriginalRequest) -> bool:
        """Whether the fetch that *request* would share is under way."""
        return request in self._fetches

    def get(
        self,
        request: OriginalRequest,
        lease: BudgetLease,
        *,
        has_stale: bool = False,
        work: WorkRecord | None = None,
    ) -> Deferred[SourceImage]:
        """The original of *request*, whose bytes *lease* holds from now on.

        *has_stale*: the caller has a stale result to serve, so that an origin that failed recently is not asked. *work*
        gets the steps of the fetch where the caller is the first of equal ones; the origin learns of its trace. Fails
        with `SourceTooLarge` beyond the limit, and as `ISource.fetch` does.
        """
        recorded = work if work is not None else WorkRecord()
        source = request.source
        if self._cache is not None:
            since = max(request.since, self._cache.purged_at(original_key(source), source, ()))
            request = replace(request, since=since)
        error = self._failures.recall(source, request.since)
        if error is not None and (has_stale or isinstance(error, SourceMissing)):
            return fail(error)
        reservation = self._fetches.state(request)
        reservation.add_lease(lease)
        return self._fetches.do(
            request, lambda: Deferred.fromCoroutine(self._get(request, reservation, recorded, has_stale=has_stale))
        )

    async def purge(self, kind: PurgeKind, value: str) -> None:
        """Remove the matching originals, and forget all failures."""
        self._failures.clear()
        if self._cache is not None:
            await self._cache.purge(kind, value)

    async def _get(
        self, request: OriginalRequest, reservation: Reservation, work: WorkRecord, *, has_stale: bool
    ) -> SourceImage:
        original: SourceImage | None = None
        try:
            original = await self._cached_or_fetched(request, reservation, work, has_stale=has_stale)
            if request.limit and len(original.body) > request.limit:
                raise SourceTooLarge(f"the source has {len(original.body)} bytes, more than {request.limit}")
            if matches(dict(request.validators), original):
                original = replace(original, body=b"", not_modified=True)
        finally:
            await reservation.reserve(len(original.body) if original is not None else 0)
        return original

    async def _cached_or_fetched(
        self, request: OriginalRequest, reservation: Reservation, work: WorkRecord, *, has_stale: bool
    ) -> SourceImage:
        cache = None if request.source[:8].lower().startswith(_LOCAL_SCHEMES) else self._cache
        conditions = dict(request.validators)
        if cache is None:
            return await self._fetch(request, conditions, reservation.reserve, work)
        key = original_key(request.source)
        with work.timed("cache", self._clock.seconds, cache="originals") as look_up:
            await reservation.reserve(await cache.size_of(key))
            found = await cache.get(key)
            look_up |= {"hit": found is not None, "tier": found[1] if found is not None else ""}
        if found is None or original_of(found[0]).asked_at <= request.since:
            self._metrics.cache_miss("originals")
            original = await self._fetch(request, conditions, reservation.reserve, work)
            if not original.not_modified:
                self._store(cache, key, request.source, original)
            return original
        cached, tier = found
        # A caller that has a stale result of this very original serves that result: a stale original must not renew it.
        may_be_stale = not (has_stale and matches(conditions, original_of(cached)))
        return await self._fresh_or_revalidated(
            cache, request, cached, tier, reservation, work, may_be_stale=may_be_stale
        )

    async def _fresh_or_revalidated(
        self,
        cache: Cache,
        request: OriginalRequest,
        cached: CacheEntry,
        tier: str,
        reservation: Reservation,
        work: WorkRecord,
        *,
        may_be_stale: bool,
    ) -> SourceImage:
        """The original in *cached*, which *tier* had, if it is fresh; else the origin's, or *cached* on errors."""
        now, key = self._clock.seconds(), original_key(request.source)
        serve_on_error = may_be_stale and self._policy.may_be_served_on_error(cached, now)
        fresh = self._policy.is_fresh(cached, now)
        if fresh or (serve_on_error and self._failures.recall(request.source, request.since) is not None):
            self._metrics.cache_hit("originals", tier)
            return original_of(cached) if fresh else stale_original(cached)
        self._metrics.cache_miss("originals")
        size = len(cached.rendition.body)
        try:
            original = await self._fetch(
                request, validators(cached), lambda more: reservation.reserve(size + more), work
            )
        except (OriginFailed, OriginTimeout) as error:
            if not serve_on_error:
                raise
            self.log.info("the origin failed, a stale original is used: {line}", line=error.logged)
            return stale_original(cached)
        except SourceMissing:
            await cache.remove(key)
            raise
        if original.not_modified:
            original = original_of(renewed(cached, original, self._clock.seconds()))
        self._store(cache, key, request.source, original)
        return original

    def _store(self, cache: Cache, key: bytes, source: str, original: SourceImage) -> None:
        if not self._policy.is_storable(original.cache_control, original.expires):
            return
        entry = CacheEntry(
            rendition=Rendition(original.body, "", original.content_type),
            stored_at=self._clock.seconds(),
            etag="",
            source=source,
            source_etag=original.etag,
            source_last_modified=original.last_modified,
            source_cache_control=original.cache_control,
            source_expires=original.expires,
            asked_at=original.asked_at,
            source_headers=original.headers,
        )
        # The picture does not wait for a slow disk.
        cache.put(key, entry).addErrback(keeping_request_id(self._log_unstored))

    def _log_unstored(self, failure: Failure) -> None:
        self.log.failure("an original could not be cached; its image is made all the same", failure)

    async def _fetch(
        self, request: OriginalRequest, conditions: Mapping[str, str], reserve: Reserve, work: WorkRecord
    ) -> SourceImage:
        await reserve(min(request.limit or _FIRST_RESERVATION, _FIRST_RESERVATION))
        began = self._clock.seconds()
        headers = {**dict(work.propagated), **dict(request.passed), **conditions}
        if request.first:
            headers["range"] = f"bytes=0-{request.first - 1}"
        try:
            original = await self._sources.fetch(request.source, request.limit or None, headers, reserve, work)
            if original.whole_size and not request.first:
                raise OriginFailed("the origin answered with a part of the source")
        except ImgforgeError as error:
            self._metrics.source_fetched(self._clock.seconds() - began, ok=False)
            if isinstance(error, CircuitOpen):  # the circuit breaker remembers the failure itself
                self._metrics.refused("circuit")
            elif isinstance(error, (SourceMissing, OriginFailed, OriginTimeout)):
                self._failures.remember(request.source, error)
            raise
        self._failures.forget(request.source)
        self._metrics.source_fetched(self._clock.seconds() - began, ok=True)
        return replace(original, asked_at=began)


def check_format(original: SourceImage) -> None:
    """Raise `NotAnImage` if *original* is no image; only the log, not the client, learns where redirects led to."""
    try:
        processing.check_format(original.body, original.content_type)
    except NotAnImage:
        if original.redirected_to:
            _log.info("the source is not an image; it was redirected to {url}", url=original.redirected_to)
        raise
