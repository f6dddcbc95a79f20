"""What one process keeps of originals and results, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.cache import Cache, IDiskReactor, Kind, MemoryTier
from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability import Metrics
from imgforge.pipeline.limits.memory_budget import MemoryBudget
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.original_fetcher import OriginalFetcher
from imgforge.pipeline.result_cache import ResultCache
from imgforge.pipeline.staleness import StalenessPolicy
from imgforge.sources import Sources

__all__ = ["Caches", "CachesSettings", "make_caches"]

# Watermarks and fallback images serve many requests: they are looked at again once a minute, and outlast an outage.
_OVERLAYS = StalenessPolicy(ttl=60.0, if_error=86400.0)
_OVERLAY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class CachesSettings:
    """Sizes in bytes and times in seconds; `watermarks` and `fallbacks` are numbers of images fetched by URL."""

    memory_bytes: int = 0
    results: StalenessPolicy = StalenessPolicy()
    failures: float = 0.0
    watermarks: int = 256
    fallbacks: int = 256

    @property
    def originals(self) -> StalenessPolicy:
        """The terms of originals, which obey their origin."""
        return StalenessPolicy(self.results.ttl, if_error=self.results.if_error, obey_origin=True)


@dataclass(frozen=True, slots=True)
class Caches:
    """The shelves, where originals come from, and the budget that all originals share.

    `nothing` keeps no results and `fetched` no originals, for requests that pass by the caches, or tell
    the origin of their client.
    """

    budget: MemoryBudget
    nothing: ResultCache
    renditions: ResultCache
    fallbacks: ResultCache
    fetched: OriginalFetcher
    originals: OriginalFetcher
    watermark_originals: OriginalFetcher
    fallback_originals: OriginalFetcher

    def originals_for(self, request: ImageRequest | InfoRequest) -> OriginalFetcher:
        """Where the original of *request* comes from: one that the origin gives to this client alone is not kept."""
        apart = request.delivery.bypass_cache or bool(request.passed)
        return self.fetched if apart else self.originals

    async def purge(self, kind: Kind, value: str, source: str = "") -> int:
        """Forget what matches, and with it the original at *source*; how many renditions were removed."""
        if kind != "tag":  # originals have none
            await self.originals.purge("source" if source else kind, source or value)
        return await self.renditions.purge(kind, value)


def make_caches(
    clock: IDiskReactor,
    settings: CachesSettings,
    sources: Sources,
    metrics: Metrics,
    *,
    results: Cache | None,
    originals: Cache | None,
) -> Caches:
    """The store with *results* and *originals* as caches, where there are any."""
    budget = MemoryBudget(settings.memory_bytes)
    # Where nothing is cached, errors are not either.
    failures = NegativeCache(clock.seconds, settings.failures if results is not None or originals is not None else 0.0)
    oblivious = NegativeCache(clock.seconds, 0.0)

    def fetched(cache: Cache | None, freshness: StalenessPolicy, failures: NegativeCache = failures) -> OriginalFetcher:
        return OriginalFetcher(
            clock, sources, budget=budget, failures=failures, metrics=metrics, cache=cache, freshness=freshness
        )

    main = results or originals or Cache(clock, "overlays", ())

    def small(capacity: int) -> Cache | None:
        return main.sibling("overlays", [MemoryTier(_OVERLAY_BYTES, capacity)]) if capacity else None

    own = settings.results
    return Caches(
        budget=budget,
        nothing=ResultCache(clock, None, own),
        renditions=ResultCache(clock, results, own),
        fallbacks=ResultCache(clock, small(settings.fallbacks), _OVERLAYS),
        fetched=fetched(None, own, oblivious),
        originals=fetched(originals, settings.originals),
        watermark_originals=fetched(small(settings.watermarks), _OVERLAYS),
        fallback_originals=fetched(small(settings.fallbacks), _OVERLAYS),
    )
