"""Fallback images: what is shown in place of sources that cannot be had."""

from __future__ import annotations

from hashlib import blake2b

from twisted.internet.defer import Deferred

from imgforge.cache import entry_key
from imgforge.concurrency import Coalescer
from imgforge.model import ImageRequest, SourceImage
from imgforge.observability import WorkRecord
from imgforge.pipeline.caches import Caches
from imgforge.pipeline.renderer import PipelineSettings, Renderer
from imgforge.pipeline.result_cache import CachedResult, CacheState

__all__ = ["FallbackImages"]


class FallbackImages:
    """Makes renditions of the images that URLs or the operator name for this; they are shared by all broken sources."""

    def __init__(self, settings: PipelineSettings, store: Caches, renderer: Renderer) -> None:
        self._settings = settings
        self._store = store
        self._renderer = renderer
        own = settings.fallback
        self._own = "" if own is None else f"fallback:{blake2b(own, digest_size=16).hexdigest()}"
        self._flights: Coalescer[bytes, CachedResult] = Coalescer()

    def sources(self, request: ImageRequest) -> list[str]:
        """Where to find the image that the URL or the operator names; the operator's own bytes go by their hash."""
        url = request.delivery.fallback_image_url or self._settings.fallback_url
        return [source for source in (url, self._own) if source]

    async def image(self, request: ImageRequest, accepted: tuple[str, ...], work: WorkRecord) -> CachedResult:
        """The rendition of the fallback image that is *request*'s source, whatever source it stands in for."""
        shelf = self._store.fallbacks
        key = entry_key(request, accepted, self._settings.fingerprint)

        async def make() -> CachedResult:
            with self._store.budget.ticket() as ticket:
                if request.source == self._own and self._settings.fallback is not None:
                    original = SourceImage(self._settings.fallback)
                else:
                    original = await self._renderer.overlay(
                        self._store.fallback_originals, request.source, request.options, ticket, work
                    )
                return shelf.made(key, await self._renderer.render(request, accepted, original, ticket, work))

        found = await shelf.find(key)
        if found is not None and found.state is CacheState.FRESH:
            return found
        return await self._flights.do(key, lambda: Deferred.fromCoroutine(make()))
