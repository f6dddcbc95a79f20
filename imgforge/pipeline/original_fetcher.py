"""Originals on their way to a picture: kept, fetched once however many want them, within the budget of bytes.

get ── failed a moment ago? ── flight (who wants the same joins) ── kept and fresh? ──────────────> SourceImage
                                                                     └─ no ── fetch, by validators if there are any
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge import processing
from imgforge.cache import Cache, Kind, original_key
from imgforge.concurrency import Coalescer
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
from imgforge.observability import Metrics, keeping_request_id
from imgforge.pipeline.limits.memory_budget import BudgetLease, MemoryBudget, Reservation
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.staleness import StalenessPolicy, validators
from imgforge.sources import Sources

__all__ = ["OriginalFetcher", "Passed", "check_format", "renewed"]

_log = Logger()

# What an original is taken to need before anything is known of it: most need less.
_FIRST_CLAIM = 1 << 20
Passed = tuple[tuple[str, str], ...]

# What is here anyway is not kept once more.
_AT_HAND = ("local:", "sample:", "data:")


@dataclass(frozen=True, slots=True)
class _Want:
    """What makes two requests for an original one; the arguments of `OriginalFetcher.get`, *known* in order."""

    source: str
    limit: int
    known: tuple[tuple[str, str], ...]
    since: float
    passed: Passed


class OriginalFetcher:
    """Hands out originals by URL; *cache*, if there is one, keeps them for as long as *freshness* says."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        sources: Sources,
        *,
        budget: MemoryBudget,
        failures: NegativeCache,
        metrics: Metrics,
        cache: Cache | None = None,
        freshness: StalenessPolicy,
    ) -> None:
        self._clock = clock
        self._sources = sources
        self._budget = budget
        self._failures = failures
        self._metrics = metrics
        self._cache = cache
        self._freshness = freshness
        self._flights: Coalescer[_Want, SourceImage] = Coalescer()
        self._claims: dict[_Want, Reservation] = {}

    def get(
        self,
        source: str,
        limit: int,
        ticket: BudgetLease,
        known: Mapping[str, str] | None = None,
        *,
        spare: bool = False,
        since: float = -math.inf,
        passed: Passed = (),
    ) -> Deferred[SourceImage]:
        """The original at *source*, of at most *limit* bytes (0 is any), which *ticket* holds from now on.

        *known* are `validators` of what the caller has; if they hold, the answer is `not_modified`. *spare*: the caller
        has something else to serve, so that an origin that failed a moment ago is not asked. *since* is when the image
        was last purged: what was kept until then is fetched anew, and only those with the same *since* join a fetch.
        *passed* are headers that tell the origin of the client: only from originals that are not kept, and whose
        failures are not either.
        """
        if self._cache is not None:
            since = max(since, self._cache.purged_at(original_key(source), source, ()))
        error = self._failures.recall(source, since)
        if error is not None and (spare or isinstance(error, SourceMissing)):
            return fail(error)
        want = _Want(source, limit, tuple(sorted((known or {}).items())), since, passed)
        if want not in self._flights:
            self._claims[want] = self._budget.claim()
        claim = self._claims[want]
        claim.join(ticket)

        def start() -> Deferred[SourceImage]:
            getting = Deferred.fromCoroutine(self._get(want, claim, spare=spare))
            return getting.addBoth(self._landed, want, claim)

        return self._flights.do(want, start)

    async def purge(self, kind: Kind, value: str) -> None:
        """Forget the originals that match, and how their origins failed."""
        self._failures.clear()
        if self._cache is not None:
            await self._cache.purge(kind, value)

    def _landed(self, outcome: Any, want: _Want, claim: Reservation) -> Any:
        if self._claims.get(want) is claim:
            del self._claims[want]
        return outcome

    async def _get(self, want: _Want, claim: Reservation, *, spare: bool) -> SourceImage:
        original: SourceImage | None = None
        try:
            original = await self._kept_or_fetched(want, claim, spare=spare)
            if want.limit and len(original.body) > want.limit:
                raise SourceTooLarge(f"the source has {len(original.body)} bytes, more than {want.limit}")
            if _holds(dict(want.known), original):
                original = replace(original, body=b"", not_modified=True)
        finally:
            await claim.room(len(original.body) if original is not None else 0)
        return original

    async def _kept_or_fetched(self, want: _Want, claim: Reservation, *, spare: bool) -> SourceImage:
        cache, known = None if want.source[:8].lower().startswith(_AT_HAND) else self._cache, dict(want.known)
        if cache is None:
            return await self._fetch(want, known, claim.room)
        key = original_key(want.source)
        await claim.room(await cache.size_of(key))
        found = await cache.get(key)
        if found is None or _original(found[0]).asked_at <= want.since:
            self._metrics.cache_miss("originals")
            original = await self._fetch(want, known, claim.room)
            if not original.not_modified:
                self._keep(cache, key, want.source, original)
            return original
        kept, tier = found
        # A caller that has a rendition of this very original serves that; it must not take it for renewed.
        may_stand_in = not (spare and _holds(known, _original(kept)))
        return await self._renewed(cache, key, want, kept, tier, claim, may_stand_in=may_stand_in)

    async def _renewed(
        self,
        cache: Cache,
        key: bytes,
        want: _Want,
        kept: CacheEntry,
        tier: str,
        claim: Reservation,
        *,
        may_stand_in: bool,
    ) -> SourceImage:
        """The original that is kept as *kept* in *tier*, or what has taken its place."""
        now = self._clock.seconds()
        stands_in = may_stand_in and self._freshness.may_stand_in(kept, now)
        fresh = self._freshness.fresh(kept, now)
        if fresh or (stands_in and self._failures.recall(want.source, want.since) is not None):
            self._metrics.cache_hit("originals", tier)
            return _original(kept) if fresh else _stale(kept)
        self._metrics.cache_miss("originals")
        size = len(kept.rendition.body)
        try:
            original = await self._fetch(want, validators(kept), lambda more: claim.room(size + more))
        except (OriginFailed, OriginTimeout) as error:
            if not stands_in:
                raise
            self.log.info("a stale original stands in: {line}", line=error.logged)
            return _stale(kept)
        except SourceMissing:
            await cache.remove(key)
            raise
        if original.not_modified:
            original = _original(renewed(kept, original, self._clock.seconds()))
        self._keep(cache, key, want.source, original)
        return original

    def _keep(self, cache: Cache, key: bytes, source: str, original: SourceImage) -> None:
        if not self._freshness.keeps(original.cache_control, original.expires):
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
        # Not waited for: a slow disk delays no picture.
        cache.put(key, entry).addErrback(keeping_request_id(self._not_kept))

    def _not_kept(self, failure: Failure) -> None:
        self.log.failure("an original could not be cached", failure)

    async def _fetch(self, want: _Want, headers: Mapping[str, str], room: Reserve) -> SourceImage:
        await room(min(want.limit or _FIRST_CLAIM, _FIRST_CLAIM))
        began = self._clock.seconds()
        try:
            original = await self._sources.fetch(
                want.source, want.limit or None, {**dict(want.passed), **headers}, room
            )
        except ImgforgeError as error:
            self._metrics.source_fetched(self._clock.seconds() - began, ok=False)
            if isinstance(error, CircuitOpen):  # the breaker remembers for itself
                self._metrics.refused("circuit")
            elif isinstance(error, (SourceMissing, OriginFailed, OriginTimeout)):
                self._failures.remember(want.source, error)
            raise
        self._failures.forget(want.source)
        self._metrics.source_fetched(self._clock.seconds() - began, ok=True)
        return replace(original, asked_at=began)


def check_format(original: SourceImage) -> None:
    """Raise `NotAnImage` for what is no image; where redirects led to is told to the log, not to the client."""
    try:
        processing.check_format(original.body, original.content_type)
    except NotAnImage:
        if original.redirected_to:
            _log.info("the source that is no image was redirected to {url}", url=original.redirected_to)
        raise


def renewed(kept: CacheEntry, not_modified: SourceImage, now: float) -> CacheEntry:
    """*kept* after its origin has said that it still holds: what the answer says of it replaces what was said."""
    return replace(
        kept,
        stored_at=now,
        asked_at=not_modified.asked_at or now,
        source_etag=not_modified.etag or kept.source_etag,
        source_last_modified=not_modified.last_modified or kept.source_last_modified,
        source_cache_control=not_modified.cache_control or kept.source_cache_control,
        source_expires=not_modified.expires or kept.source_expires,
        source_headers=tuple((dict(kept.source_headers) | dict(not_modified.headers)).items()),
    )


def _original(entry: CacheEntry) -> SourceImage:
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


def _stale(entry: CacheEntry) -> SourceImage:
    return replace(_original(entry), stored_at=entry.stored_at)


def _holds(known: Mapping[str, str], original: SourceImage) -> bool:
    """Whether *original* is what the caller knows: by its ETag if it had one, else by its time."""
    if "if-none-match" in known:
        return known["if-none-match"] == original.etag
    return "if-modified-since" in known and known["if-modified-since"] == original.last_modified
