"""Fallback images, which are shown in place of sources that failed."""

from __future__ import annotations

from hashlib import blake2b

from twisted.internet.defer import Deferred

from imgforge.cache import entry_key
from imgforge.concurrency import Coalescer
from imgforge.model import ImageRequest, SourceImage
from imgforge.observability import WorkRecord
from imgforge.pipeline.caches import Caches
from imgforge.pipeline.limits import BudgetLease
from imgforge.pipeline.parts import PipelineSettings
from imgforge.pipeline.renderer import Renderer
from imgforge.pipeline.result_cache import CachedResult, CacheState

__all__ = ["FallbackImages"]


class FallbackImages:
    """Renders the fallback images that URLs or the operator name; all failed sources share the results."""

    def __init__(self, settings: PipelineSettings, caches: Caches, renderer: Renderer) -> None:
        self._settings = settings
        self._caches = caches
        self._renderer = renderer
        own = settings.fallback
        self._own_source = "" if own is None else f"fallback:{blake2b(own, digest_size=16).hexdigest()}"
        self._renders: Coalescer[bytes, CachedResult] = Coalescer()

    def sources(self, request: ImageRequest) -> list[str]:
        """The fallback images for *request*, in order: a URL, then the operator's own bytes, named by their hash."""
        url = request.delivery.fallback_image_url or self._settings.fallback_url
        return [source for source in (url, self._own_source) if source]

    async def image(self, request: ImageRequest, accepted: tuple[str, ...], work: WorkRecord) -> CachedResult:
        """The result of *request*, whose source is one of `sources`."""
        results = self._caches.fallback_results
        key = entry_key(request, accepted, self._settings.fingerprint)
        cached = await results.find(key)
        if cached is not None and cached.state is CacheState.FRESH:
            return cached

        async def make() -> CachedResult:
            with self._caches.budget.lease() as lease:
                original = await self._original(request, lease, work)
                # Its origin fails: what is made of the stale original would be no newer.
                if cached is not None and cached.entry.stored_at >= original.stored_at > 0:
                    return cached
                return results.store(key, await self._renderer.render(request, accepted, original, lease, work))

        return await self._renders.do(key, lambda: Deferred.fromCoroutine(make()))

    async def _original(self, request: ImageRequest, lease: BudgetLease, work: WorkRecord) -> SourceImage:
        """The fallback image that *request* names, whole."""
        if request.source == self._own_source and self._settings.fallback is not None:
            return SourceImage(self._settings.fallback)
        fetcher = self._caches.fallback_originals
        return await self._renderer.fetch_overlay(fetcher, request.source, request.options, lease, work)
