"""All caches of a process: results, originals, watermarks and fallback images, each under its staleness policy."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.cache import Cache, MemoryTier, PurgeKind
from imgforge.interfaces import IServerReactor
from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability import Metrics
from imgforge.pipeline.limits import MemoryBudget
from imgforge.pipeline.negative_cache import NegativeCache
from imgforge.pipeline.original_fetcher import OriginalFetcher, OriginalStorage
from imgforge.pipeline.result_cache import ResultCache
from imgforge.pipeline.staleness import StalenessPolicy
from imgforge.sources import SourceRegistry

__all__ = ["Caches", "CachesSettings", "make_caches"]

# Many requests share a watermark or fallback image: it is revalidated once a minute, and kept for a day of failures.
_OVERLAY_POLICY = StalenessPolicy(ttl=60.0, if_error=86400.0)
_OVERLAY_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class CachesSettings:
    """Sizes in bytes and times in seconds.

    `memory_bytes` is the budget of originals in memory, `failures` the time for which failures are remembered;
    `watermarks` and `fallbacks` are numbers of images fetched by URL.
    """

    memory_bytes: int = 0
    results: StalenessPolicy = StalenessPolicy()
    failures: float = 0.0
    watermarks: int = 256
    fallbacks: int = 256

    @property
    def originals(self) -> StalenessPolicy:
        """The policy of originals, which always obeys their origin."""
        return StalenessPolicy(self.results.ttl, if_error=self.results.if_error, obey_origin=True)


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches, the fetchers of originals, and the memory budget that all originals share.

    `uncached_results` and `uncached_originals` store nothing: they serve requests that bypass the caches or whose
    headers tell the origin of their client.
    """

    budget: MemoryBudget
    results: ResultCache
    uncached_results: ResultCache
    fallback_results: ResultCache
    originals: OriginalFetcher
    uncached_originals: OriginalFetcher
    watermark_originals: OriginalFetcher
    fallback_originals: OriginalFetcher

    def originals_for(self, request: ImageRequest | InfoRequest) -> OriginalFetcher:
        """The fetcher for the original of *request*; an original that the origin gives to one client is not cached."""
        uncached = request.delivery.bypass_cache or bool(request.passed)
        return self.uncached_originals if uncached else self.originals

    async def purge(self, kind: PurgeKind, value: str, source: str = "") -> int:
        """Remove the matching results, and the original at *source*; returns how many results were removed."""
        if kind != "tag":  # originals have no tags
            await self.originals.purge("source" if source else kind, source or value)
        return await self.results.purge(kind, value)


def make_caches(
    clock: IServerReactor,
    settings: CachesSettings,
    sources: SourceRegistry,
    metrics: Metrics,
    *,
    results: Cache | None,
    originals: Cache | None,
) -> Caches:
    """The caches of a process; *results* and *originals* are None where the operator caches none."""
    budget = MemoryBudget(settings.memory_bytes)
    # Without a cache failures are not remembered either.
    failures = NegativeCache(clock.seconds, settings.failures if results is not None or originals is not None else 0.0)
    no_failures = NegativeCache(clock.seconds, 0.0)

    def fetcher(cache: Cache | None, policy: StalenessPolicy, failures: NegativeCache = failures) -> OriginalFetcher:
        return OriginalFetcher(clock, sources, metrics, budget, OriginalStorage(cache, policy, failures))

    main = results or originals or Cache(clock, "overlays")

    def overlay_cache(capacity: int) -> Cache | None:
        return main.sibling("overlays", MemoryTier(_OVERLAY_BYTES, capacity)) if capacity else None

    policy = settings.results
    return Caches(
        budget=budget,
        results=ResultCache(clock, results, policy),
        uncached_results=ResultCache(clock, None, policy),
        fallback_results=ResultCache(clock, overlay_cache(settings.fallbacks), _OVERLAY_POLICY),
        originals=fetcher(originals, settings.originals),
        uncached_originals=fetcher(None, policy, no_failures),
        watermark_originals=fetcher(overlay_cache(settings.watermarks), _OVERLAY_POLICY),
        fallback_originals=fetcher(overlay_cache(settings.fallbacks), _OVERLAY_POLICY),
    )
