"""What one process keeps of originals and results, and on what terms."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.cache import Cache, IDiskReactor, Kind, MemoryTier
from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability import Metrics
from imgforge.pipeline.limits.memory_budget import Budget
from imgforge.pipeline.negative_cache import Failures
from imgforge.pipeline.original_fetcher import Originals
from imgforge.pipeline.result_cache import Shelf
from imgforge.pipeline.staleness import Freshness
from imgforge.sources import Sources

__all__ = ["Store", "StoreSettings", "make_store"]

# Watermarks and fallback images serve many requests: they are looked at again once a minute, and outlast an outage.
_OVERLAYS = Freshness(ttl=60.0, if_error=86400.0)
_OVERLAY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Sizes in bytes and times in seconds; `watermarks` and `fallbacks` are numbers of images fetched by URL."""

    memory_bytes: int = 0
    results: Freshness = Freshness()
    failures: float = 0.0
    watermarks: int = 256
    fallbacks: int = 256

    @property
    def originals(self) -> Freshness:
        """The terms of originals, which obey their origin."""
        return Freshness(self.results.ttl, if_error=self.results.if_error, obey_origin=True)


@dataclass(frozen=True, slots=True)
class Store:
    """The shelves, where originals come from, and the budget that all originals share.

    `nothing` keeps no results and `fetched` no originals, for requests that pass by the caches, or tell
    the origin of their client.
    """

    budget: Budget
    nothing: Shelf
    renditions: Shelf
    fallbacks: Shelf
    fetched: Originals
    originals: Originals
    watermark_originals: Originals
    fallback_originals: Originals

    def originals_for(self, request: ImageRequest | InfoRequest) -> Originals:
        """Where the original of *request* comes from: one that the origin gives to this client alone is not kept."""
        apart = request.delivery.bypass_cache or bool(request.passed)
        return self.fetched if apart else self.originals

    async def purge(self, kind: Kind, value: str, source: str = "") -> int:
        """Forget what matches, and with it the original at *source*; how many renditions were removed."""
        if kind != "tag":  # originals have none
            await self.originals.purge("source" if source else kind, source or value)
        return await self.renditions.purge(kind, value)


def make_store(
    clock: IDiskReactor,
    settings: StoreSettings,
    sources: Sources,
    metrics: Metrics,
    *,
    results: Cache | None,
    originals: Cache | None,
) -> Store:
    """The store with *results* and *originals* as caches, where there are any."""
    budget = Budget(settings.memory_bytes)
    # Where nothing is cached, errors are not either.
    failures = Failures(clock.seconds, settings.failures if results is not None or originals is not None else 0.0)
    oblivious = Failures(clock.seconds, 0.0)

    def fetched(cache: Cache | None, freshness: Freshness, failures: Failures = failures) -> Originals:
        return Originals(
            clock, sources, budget=budget, failures=failures, metrics=metrics, cache=cache, freshness=freshness
        )

    main = results or originals or Cache(clock, "overlays", ())

    def small(capacity: int) -> Cache | None:
        return main.beside("overlays", [MemoryTier(_OVERLAY_BYTES, capacity)]) if capacity else None

    own = settings.results
    return Store(
        budget=budget,
        nothing=Shelf(clock, None, own),
        renditions=Shelf(clock, results, own),
        fallbacks=Shelf(clock, small(settings.fallbacks), _OVERLAYS),
        fetched=fetched(None, own, oblivious),
        originals=fetched(originals, settings.originals),
        watermark_originals=fetched(small(settings.watermarks), _OVERLAYS),
        fallback_originals=fetched(small(settings.fallbacks), _OVERLAYS),
    )
