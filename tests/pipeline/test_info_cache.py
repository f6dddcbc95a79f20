"""Facts about originals are cached as results are: by the same rules, under keys of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from imgforge.errors import NotAnImage, OriginFailed, SourceMissing
from imgforge.model import DeliveryOptions, InfoOptions, InfoRequest
from imgforge.pipeline import CachedResult, CacheState, Pipeline
from tests.support.pictures import encode, gradient
from tests.support.pipeline_case import PipelineCase
from tests.support.scripted_origin import until

OTHER = encode(gradient(80, 30), "PNG")


class InfoCacheTests(PipelineCase):
    def wanted(self, **options: Any) -> InfoRequest:
        return InfoRequest(self.url, InfoOptions(**options))

    async def facts(self, pipeline: Pipeline, request: InfoRequest | None = None) -> tuple[CacheState, int]:
        """How the cache took part in the facts that *request* asks for, and the width that they tell."""
        result = await pipeline.info(request or self.wanted())
        self.assertEqual(result.entry.rendition.content_type, "application/json")
        width: int = json.loads(result.entry.rendition.body)["width"]
        return result.state, width

    async def test_they_are_made_once_for_each_set_of_fields_and_apart_from_the_image(self) -> None:
        pipeline = self.pipeline()
        for request in (self.wanted(), self.wanted(average=True), self.wanted(exif=False)):
            self.assertEqual(await self.facts(pipeline, request), (CacheState.MADE, 40))
            self.assertEqual(await self.facts(pipeline, request), (CacheState.FRESH, 40))
        self.assertEqual(self.photo.fetches, 3)
        self.assertEqual((await pipeline.image(self.request())).entry.rendition.format, "png")

    async def test_an_answer_and_a_cached_one_are_the_same_bytes(self) -> None:
        pipeline = self.pipeline()
        made, cached = [await pipeline.info(self.wanted(average=True)) for _ in range(2)]
        self.assertEqual((made.entry, cached.tier), (cached.entry, "memory"))

    async def test_a_cachebuster_and_what_a_client_sends_keep_them_apart(self) -> None:
        pipeline, request = self.pipeline(), self.wanted()
        for other in (
            replace(request, delivery=DeliveryOptions(cachebuster="2")),
            replace(request, delivery=DeliveryOptions(cache_tags=("a",))),
            replace(request, passed=(("cookie", "a=b"),)),
            request,
        ):
            self.assertEqual((await self.facts(pipeline, other))[0], CacheState.MADE)
        for client in (("a",), ("b",), (None,)):
            self.assertEqual((await pipeline.info(request, client=client)).state, CacheState.MADE)

    async def test_a_bypassing_request_and_a_server_without_a_cache_make_them_anew(self) -> None:
        bypassing = replace(self.wanted(), delivery=DeliveryOptions(bypass_cache=True))
        for pipeline, request in ((self.pipeline(), bypassing), (self.pipeline(results=False), self.wanted())):
            for _ in range(2):
                self.assertEqual(await self.facts(pipeline, request), (CacheState.MADE, 40))
        self.assertEqual(self.photo.fetches, 4)

    async def test_only_those_of_presets_are_cached_where_the_operator_says_so(self) -> None:
        pipeline = self.pipeline(cache_presets_only=True)
        for request, state in (
            (self.wanted(), CacheState.MADE),
            (replace(self.wanted(), presets=("small",)), CacheState.FRESH),
        ):
            await self.facts(pipeline, request)
            self.assertEqual((await self.facts(pipeline, request))[0], state)

    async def test_stale_ones_are_renewed_where_the_original_is_not_modified_and_made_anew_where_it_is(self) -> None:
        self.photo.headers = {"ETag": '"1"'}
        pipeline = self.pipeline(ttl=60)
        await self.facts(pipeline)
        self.clock.ahead = 61
        self.assertEqual(await self.facts(pipeline), (CacheState.RENEWED, 40))
        self.assertIn('if-none-match: "1"', self.photo.asked[-1])
        self.assertEqual(await self.facts(pipeline), (CacheState.FRESH, 40))
        self.photo.headers, self.photo.body = {"ETag": '"2"'}, OTHER
        self.clock.ahead = 130
        self.assertEqual(await self.facts(pipeline), (CacheState.MADE, 80))

    async def test_stale_ones_are_served_while_they_are_revalidated(self) -> None:
        pipeline = self.pipeline(ttl=60, while_revalidate=30)
        await self.facts(pipeline)
        self.photo.body = OTHER
        self.clock.ahead = 61
        self.assertEqual(await self.facts(pipeline), (CacheState.STALE, 40))
        await until(lambda: not pipeline._renders)
        self.assertEqual(await self.facts(pipeline), (CacheState.FRESH, 80))

    async def test_stale_ones_are_served_while_the_origin_fails_and_removed_once_it_is_gone(self) -> None:
        pipeline = self.pipeline(ttl=60, if_error=600)
        await self.facts(pipeline)
        self.photo.status = "503 No"
        self.clock.ahead = 61
        self.assertEqual(await self.facts(pipeline), (CacheState.STALE, 40))
        self.clock.ahead = 700
        with self.assertRaises(OriginFailed):
            await pipeline.info(self.wanted())
        self.clock.ahead = 100
        for status, error in (("404 Not Found", SourceMissing), ("503 No", OriginFailed)):
            self.photo.status = status
            with self.assertRaises(error):
                await pipeline.info(self.wanted())

    async def test_each_purge_that_removes_an_image_removes_its_facts(self) -> None:
        request = replace(self.wanted(), delivery=DeliveryOptions(cache_tags=("hero",)))
        pipeline = self.pipeline()
        for kind, value in (("source", self.url), ("prefix", self.url[:-3]), ("tag", "hero")):
            self.assertEqual((await self.facts(pipeline, request))[0], CacheState.MADE)
            self.clock.ahead += 1
            self.assertEqual(await pipeline.purge(kind, value), 1)  # type: ignore[arg-type]
            self.clock.ahead += 1
        await self.facts(pipeline, request)
        await pipeline.image(self.request())
        self.clock.ahead += 1
        self.assertEqual(await pipeline.purge_image(request), 1)
        self.clock.ahead += 1
        self.assertEqual((await pipeline.image(self.request())).state, CacheState.FRESH)
        self.assertEqual((await self.facts(pipeline, request))[0], CacheState.MADE)

    async def test_equal_requests_at_once_are_one_piece_of_work(self) -> None:
        pipeline = self.pipeline()
        self.photo.held = Deferred()
        asked = [Deferred.fromCoroutine(pipeline.info(self.wanted(average=True))) for _ in range(20)]
        await until(lambda: self.photo.fetches)
        self.photo.held.callback(None)
        results: list[CachedResult] = await gatherResults(asked)
        self.assertEqual((len({id(result.entry) for result in results}), self.photo.fetches), (1, 1))

    async def test_what_is_no_image_is_not_cached(self) -> None:
        pipeline = self.pipeline()
        self.photo.body = b"just words"
        for _ in range(2):
            with self.assertRaises(NotAnImage):
                await pipeline.info(self.wanted())
        self.assertEqual(self.photo.fetches, 2)
