"""Originals, watermarks and fallback images are fetched no more often than needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from imgforge.errors import CircuitOpen, OriginFailed, SourceMissing, SourceTooLarge
from imgforge.model import DeliveryOptions, InfoOptions, InfoRequest, Watermark
from imgforge.pipeline import CacheState
from tests.support.pictures import encode, gradient
from tests.support.pipeline_case import PNG, Photo, PipelineCase
from tests.support.scripted_origin import until

RED_DOT = encode(gradient(8, 8), "PNG")


class OriginalFetcherTests(PipelineCase):
    async def test_two_sizes_of_one_source_under_way_share_one_fetch(self) -> None:
        pipeline = self.pipeline(results=False)
        self.photo.held = Deferred()
        making = [self.begin(pipeline, self.request(width=width)) for width in (10, 20)]
        await until(lambda: self.photo.fetches)
        self.photo.held.callback(None)
        self.assertEqual([(await each).entry.rendition.width for each in making], [10, 20])
        self.assertEqual(self.photo.fetches, 1)
        self.assertEqual(self.caches.budget.held, 0)

    async def test_an_info_request_shares_the_fetch_of_its_source(self) -> None:
        pipeline = self.pipeline()
        self.photo.held = Deferred()
        info = Deferred.fromCoroutine(pipeline.info(InfoRequest(self.url, InfoOptions(average=True))))
        result = self.begin(pipeline, self.request())
        await until(lambda: self.photo.fetches)
        self.photo.held.callback(None)
        await info
        await result
        self.assertEqual(self.photo.fetches, 1)

    async def test_an_info_request_for_the_header_joins_a_fetch_under_way(self) -> None:
        pipeline = self.pipeline()
        self.photo.held = Deferred()
        result = self.begin(pipeline, self.request())
        await until(lambda: self.photo.fetches)
        info = Deferred.fromCoroutine(pipeline.info(InfoRequest(self.url, InfoOptions())))
        self.photo.held.callback(None)
        await info
        await result
        self.assertEqual(self.photo.fetches, 1)

    async def test_a_cancelled_request_does_not_cancel_a_shared_fetch(self) -> None:
        pipeline = self.pipeline(results=False)
        self.photo.held = Deferred()
        cancelled, other = (self.begin(pipeline, self.request(width=width)) for width in (10, 20))
        await until(lambda: self.photo.fetches)
        cancelled.cancel()
        with self.assertRaises(CancelledError):
            await cancelled
        self.photo.held.callback(None)
        self.assertEqual((await other).entry.rendition.width, 20)
        self.assertEqual((self.photo.fetches, self.caches.budget.held), (1, 0))

    async def test_cancelled_requests_give_their_bytes_back(self) -> None:
        pipeline = self.pipeline(results=False)
        self.photo.held = Deferred()
        making = [self.begin(pipeline, self.request(width=width)) for width in (10, 20)]
        await until(lambda: self.photo.fetches)
        for each in making:
            each.cancel()
            with self.assertRaises(CancelledError):
                await each
        self.assertEqual((self.caches.budget.held, self.caches.budget.waiting), (0, 0))
        self.photo.held = None
        await pipeline.image(self.request())

    async def test_a_second_rendition_of_a_cached_original_costs_no_fetch(self) -> None:
        pipeline = self.pipeline(originals=True)
        for width in (10, 20, 30):
            self.assertEqual((await pipeline.image(self.request(width=width))).state, CacheState.MADE)
        self.assertEqual(self.photo.fetches, 1)

    async def test_without_a_cache_of_originals_each_rendition_fetches(self) -> None:
        pipeline = self.pipeline()
        for width in (10, 20, 30):
            await pipeline.image(self.request(width=width))
        self.assertEqual(self.photo.fetches, 3)

    async def test_a_cached_original_obeys_its_origin_and_is_revalidated(self) -> None:
        pipeline = self.pipeline(originals=True)
        self.photo.headers = {"Cache-Control": "max-age=60", "ETag": '"1"'}
        await pipeline.image(self.request(width=10))
        self.clock.ahead = 61
        await pipeline.image(self.request(width=11))  # 304: the cached original is used
        self.clock.ahead = 120
        await pipeline.image(self.request(width=12))  # it is fresh again
        self.assertEqual((self.photo.fetches, "if-none-match" in self.photo.asked[-1]), (2, True))
        self.clock.ahead = 122
        self.photo.headers["ETag"], self.photo.body = '"2"', encode(gradient(80, 30), "PNG")
        changed = await pipeline.image(self.request(width=40))
        self.assertEqual(changed.entry.rendition.source_width, 80)

    async def test_a_stale_original_is_used_while_its_origin_fails(self) -> None:
        pipeline = self.pipeline(originals=True, ttl=60, if_error=600, failures=5.0)
        await pipeline.image(self.request(width=10))
        self.photo.status, self.clock.ahead = "503 No", 100
        for width in (11, 12, 13):
            self.assertEqual((await pipeline.image(self.request(width=width))).entry.rendition.width, width)
        self.assertEqual(self.photo.fetches, 2)
        self.clock.ahead = 661
        with self.assertRaises(OriginFailed):
            await pipeline.image(self.request(width=14))

    async def test_a_result_of_a_stale_original_is_as_stale(self) -> None:
        pipeline = self.pipeline(originals=True, ttl=60, if_error=600, failures=5.0)
        self.photo.headers = {"ETag": '"1"'}
        await pipeline.image(self.request(width=10))
        self.photo.status = "503 No"
        for width in (11, 12):  # the second one does not ask the origin
            self.clock.ahead = 100
            self.assertEqual((await pipeline.image(self.request(width=width))).state, CacheState.MADE)
        for self.clock.ahead in (101, 659):
            for width in (11, 12):
                self.assertEqual((await pipeline.image(self.request(width=width))).state, CacheState.STALE)
        self.clock.ahead = 661
        for width in (11, 12):
            with self.assertRaises(OriginFailed):
                await pipeline.image(self.request(width=width))

    async def test_a_stale_original_renews_no_result(self) -> None:
        pipeline = self.pipeline(originals=True, ttl=60, if_error=600, failures=5.0)
        self.photo.headers = {"ETag": '"1"'}
        await pipeline.image(self.request())
        self.photo.status = "503 No"
        for self.clock.ahead in (100, 101, 659):
            self.assertEqual((await pipeline.image(self.request())).state, CacheState.STALE)
        self.clock.ahead = 661
        with self.assertRaises(OriginFailed):
            await pipeline.image(self.request())

    async def test_a_result_purged_by_tag_is_fetched_anew_and_cached_again(self) -> None:
        pipeline = self.pipeline(originals=True)
        request = replace(self.request(), delivery=DeliveryOptions(cache_tags=("hero",)))
        await pipeline.image(request)
        self.clock.ahead = 1
        self.assertEqual(await pipeline.purge("tag", "hero"), 1)
        self.clock.ahead = 2
        states = [(await pipeline.image(request)).state for _ in range(3)]
        self.assertEqual(states, [CacheState.MADE, CacheState.FRESH, CacheState.FRESH])
        await pipeline.image(self.request(width=11))  # without the tag: the cached original is used
        self.assertEqual(self.photo.fetches, 2)

    async def test_an_original_that_its_origin_forbids_to_store_is_not_cached(self) -> None:
        for word in ("no-store", "private"):
            self.photo.headers = {"Cache-Control": word}
            pipeline, before = self.pipeline(originals=True), self.photo.fetches
            for width in (10, 20):
                await pipeline.image(self.request(width=width))
            self.assertEqual(self.photo.fetches - before, 2)

    async def test_a_cached_original_obeys_the_limit_of_each_request(self) -> None:
        pipeline = self.pipeline(originals=True)
        await pipeline.image(self.request())
        with self.assertRaises(SourceTooLarge):
            await pipeline.image(self.request(max_src_file_size=len(PNG) - 1))
        await pipeline.image(self.request(max_src_file_size=len(PNG)))

    async def test_a_missing_original_is_asked_for_once_per_ttl(self) -> None:
        pipeline = self.pipeline(failures=2.0)
        self.photo.status = "404 Not Found"
        for width in (10, 20):
            with self.assertRaises(SourceMissing):
                await pipeline.image(self.request(width=width))
        self.assertEqual(self.photo.fetches, 1)
        self.photo.status = "200 OK"
        self.clock.ahead = -1000  # a clock that was put back ends the negative cache
        await pipeline.image(self.request())

    async def test_failing_origins_are_asked_again_and_so_are_missing_ones_without_a_cache(self) -> None:
        for status, error, results in (("503 No", OriginFailed, True), ("404 Not Found", SourceMissing, False)):
            pipeline, before = self.pipeline(failures=2.0, results=results), self.photo.fetches
            self.photo.status = status
            for _ in range(2):
                with self.assertRaises(error):
                    await pipeline.image(self.request())
            self.assertEqual(self.photo.fetches - before, 2)

    async def test_an_open_circuit_is_still_an_origin_failure(self) -> None:
        pipeline = self.pipeline(failures=5.0)
        self.photo.status = "503 No"
        errors = []
        for width in range(10, 25):  # more than the breaker takes
            with self.assertRaises(OriginFailed) as caught:
                await pipeline.image(self.request(width=width))
            errors.append(type(caught.exception))
        self.assertEqual(errors[-3:], [CircuitOpen] * 3)
        self.assertLess(self.photo.fetches, 15)

    async def test_a_small_memory_budget_serves_many_requests(self) -> None:
        photos = [Photo(PNG + bytes(50_000)) for _ in range(8)]
        urls = [self.origin(photo).url() for photo in photos]
        pipeline = self.pipeline(results=False, memory_bytes=60_000)
        making = [self.begin(pipeline, self.request(url)) for url in urls]
        for each in making:
            self.assertEqual((await each).entry.rendition.width, 20)
        self.assertEqual(self.caches.budget.held, 0)


class OverlayTests(PipelineCase):
    def setUp(self) -> None:
        super().setUp()
        self.dot = Photo(RED_DOT, {"ETag": '"d"'})
        self.dot_url = self.origin(self.dot).url("/dot.png")

    def marked(self, **options: Any) -> Any:
        return self.request(watermark=Watermark(1.0, scale=0.2), watermark_url=self.dot_url, **options)

    async def test_a_watermark_is_fetched_once_for_many_pictures(self) -> None:
        pipeline = self.pipeline()
        for width in (10, 20, 30):
            await pipeline.image(self.marked(width=width))
        self.assertEqual((self.dot.fetches, self.photo.fetches), (1, 3))

    async def test_a_watermark_is_revalidated_and_outlasts_an_outage(self) -> None:
        pipeline = self.pipeline()
        await pipeline.image(self.marked(width=10))
        self.clock.ahead = 61
        await pipeline.image(self.marked(width=11))
        self.assertEqual((self.dot.fetches, 'if-none-match: "d"' in self.dot.asked[-1]), (2, True))
        self.clock.ahead, self.dot.status = 200, "503 No"
        await pipeline.image(self.marked(width=12))
        self.assertEqual(self.dot.fetches, 3)

    async def test_a_watermark_that_is_not_shown_is_not_fetched(self) -> None:
        pipeline, self.dot.status = self.pipeline(), "404 Not Found"
        transparent = replace(self.marked(width=10).options, watermark=Watermark(0.0))
        text = replace(self.marked(width=11).options, watermark_text="Mine")
        for options in (transparent, text):
            await pipeline.image(replace(self.request(), options=options))
        self.assertEqual(self.dot.fetches, 0)
        with self.assertRaises(SourceMissing):
            await pipeline.image(self.marked(width=10))

    async def test_a_source_may_be_its_own_watermark(self) -> None:
        self.dot_url = self.url
        result = await self.pipeline(results=False, memory_bytes=1).image(self.marked())
        self.assertEqual(result.entry.rendition.width, 20)

    async def test_a_fallback_image_is_fetched_and_made_once_in_an_outage(self) -> None:
        for cached in (True, False):
            before = self.dot.fetches
            pipeline = self.pipeline(results=cached, fallback_url=self.dot_url)
            self.photo.status = "503 No"
            results = [await pipeline.image(self.request(f"{self.url}?{number}", width=5)) for number in range(4)]
            self.assertEqual({each.entry.rendition.width for each in results}, {5})
            self.assertEqual([each.failure is not None and each.failure.status for each in results], [502] * 4)
            self.assertEqual([each.state for each in results], [CacheState.MADE] + [CacheState.FRESH] * 3)
            self.assertEqual(self.dot.fetches - before, 1)

    async def test_the_source_replaces_its_fallback_image_once_it_can_be_fetched(self) -> None:
        pipeline = self.pipeline(fallback=RED_DOT)
        self.photo.status = "404 Not Found"
        self.assertIsNotNone((await pipeline.image(self.request())).failure)
        self.photo.status = "200 OK"
        result = await pipeline.image(self.request())
        self.assertEqual((result.failure, result.entry.rendition.source_width), (None, 40))

    async def test_the_urls_fallback_image_comes_before_the_operators(self) -> None:
        pipeline = self.pipeline(fallback=encode(gradient(16, 16), "PNG"))
        self.photo.status = "404 Not Found"
        request = replace(self.request(), delivery=DeliveryOptions(fallback_image_url=self.dot_url))
        self.assertEqual((await pipeline.image(request)).entry.rendition.source_width, 8)
        elsewhere = replace(request, delivery=DeliveryOptions(fallback_image_url=self.url))
        self.assertEqual((await pipeline.image(elsewhere)).entry.rendition.source_width, 16)
