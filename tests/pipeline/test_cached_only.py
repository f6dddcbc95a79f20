"""`Pipeline.cached`: what the cache has, and nothing else; no original is asked for."""

from __future__ import annotations

from imgforge.errors import NotCached
from imgforge.model import ImageRequest, InfoRequest, ProcessingOptions
from imgforge.pipeline import CacheState, Pipeline
from tests.support.pipeline_case import PipelineCase


class CachedOnlyTests(PipelineCase):
    async def refusal(self, pipeline: Pipeline, request: ImageRequest | InfoRequest) -> str:
        try:
            await pipeline.cached(request)
        except NotCached as error:
            return error.message
        return ""

    async def test_fresh_and_stale_results_are_given_without_a_fetch(self) -> None:
        pipeline = self.pipeline(ttl=60, while_revalidate=30)
        request = ImageRequest(self.url, ProcessingOptions(width=20))
        self.assertEqual(await self.refusal(pipeline, request), "the result is not in the cache")
        self.assertEqual(self.photo.fetches, 0)
        made = await pipeline.image(request)
        found = await pipeline.cached(request)
        self.assertEqual((found.state, found.key, found.until), (CacheState.FRESH, made.key, made.until))
        self.clock.ahead = 70
        self.assertIs((await pipeline.cached(request)).state, CacheState.STALE)
        self.clock.ahead = 100
        self.assertEqual(await self.refusal(pipeline, request), "the result is in the cache, but it is stale")
        self.assertEqual(self.photo.fetches, 1)

    async def test_facts_about_an_image_are_found_likewise(self) -> None:
        pipeline = self.pipeline(ttl=60)
        request = InfoRequest(self.url)
        self.assertEqual(await self.refusal(pipeline, request), "the result is not in the cache")
        await pipeline.info(request)
        self.assertIs((await pipeline.cached(request)).state, CacheState.FRESH)
