"""Results are revalidated when they are stale, bypass the caches on request, and outlast failures of their origin."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from imgforge.errors import OriginFailed, Overloaded, Quarantined, SourceMissing
from imgforge.model import DeliveryOptions, InfoRequest, Watermark
from imgforge.pipeline import (
    Admission,
    CachedResult,
    CacheState,
    NullCrashTracker,
    Pipeline,
    Quarantine,
)
from tests.support.pictures import encode, gradient
from tests.support.pipeline_case import PNG, Photo, PipelineCase
from tests.support.scripted_origin import until

OTHER = encode(gradient(80, 30), "PNG")


def width_of(facts: CachedResult) -> object:
    """The width that an answer of `/info` has."""
    return json.loads(facts.entry.rendition.body)["width"]


class RevalidationTests(PipelineCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo.headers = {"ETag": '"1"'}

    async def result(self, pipeline: Pipeline, at: float) -> CachedResult:
        self.clock.ahead = at
        return await pipeline.image(self.request())

    async def test_a_stale_entry_whose_original_is_not_modified_is_renewed_without_rendering(self) -> None:
        pipeline = self.pipeline(ttl=60)
        first = await self.result(pipeline, 0)
        self.assertEqual(first.state, CacheState.MADE)
        self.assertEqual((await self.result(pipeline, 59)).state, CacheState.FRESH)
        again = await self.result(pipeline, 61)
        self.assertEqual((again.state, again.entry.etag, again.tier), (CacheState.RENEWED, first.entry.etag, "memory"))
        self.assertIn('if-none-match: "1"', self.photo.asked[-1])
        self.assertIs(again.entry.rendition, first.entry.rendition)
        self.assertEqual((await self.result(pipeline, 120)).state, CacheState.FRESH)
        self.assertEqual(self.photo.fetches, 2)
        self.assertEqual(again.until, first.until + 61)

    async def test_a_stale_entry_whose_original_has_changed_is_rendered_anew(self) -> None:
        pipeline = self.pipeline(ttl=60)
        await self.result(pipeline, 0)
        self.photo.headers, self.photo.body = {"ETag": '"2"'}, OTHER
        changed = await self.result(pipeline, 61)
        self.assertEqual((changed.state, changed.entry.rendition.source_width), (CacheState.MADE, 80))
        self.assertEqual((await self.result(pipeline, 100)).entry.rendition.source_width, 80)

    async def test_an_original_without_validators_is_fetched_and_rendered_anew(self) -> None:
        self.photo.headers = {}
        pipeline = self.pipeline(ttl=60)
        await self.result(pipeline, 0)
        self.assertEqual((await self.result(pipeline, 61)).state, CacheState.MADE)

    async def test_an_origin_that_ignores_validators_but_sends_the_same_costs_no_rendering(self) -> None:
        pipeline = self.pipeline(ttl=60)
        await self.result(pipeline, 0)
        self.photo.headers = {"eTag": '"1"'}  # the test's origin looks for "ETag", and answers 200
        self.assertEqual((await self.result(pipeline, 61)).state, CacheState.RENEWED)

    async def test_a_cached_original_renews_entries_without_asking_its_origin(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=1000"
        pipeline = self.pipeline(originals=True, ttl=60)
        await self.result(pipeline, 0)
        self.assertEqual((await self.result(pipeline, 61)).state, CacheState.RENEWED)
        self.assertEqual(self.photo.fetches, 1)

    async def test_an_entry_with_a_watermark_by_url_is_rendered_anew(self) -> None:
        # Its source may be unchanged while the watermark has changed.
        pipeline = self.pipeline(ttl=60)
        marked = self.request(watermark=Watermark(1.0, scale=0.2), watermark_url=self.url)
        await pipeline.image(marked)
        self.clock.ahead = 61
        self.assertEqual((await pipeline.image(marked)).state, CacheState.MADE)

    async def test_the_origins_max_age_counts_only_where_it_is_obeyed(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=30"
        obeys, ignores = self.pipeline(ttl=60, obey_origin=True), self.pipeline(ttl=60)
        for pipeline, state in ((obeys, CacheState.RENEWED), (ignores, CacheState.FRESH)):
            await self.result(pipeline, 0)
            self.assertEqual((await self.result(pipeline, 31)).state, state)

    async def test_a_result_of_a_cached_original_is_as_old_as_that(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=60"
        pipeline = self.pipeline(originals=True, obey_origin=True)
        await self.result(pipeline, 0)
        self.clock.ahead = 50
        result = await pipeline.image(self.request(width=30))
        self.assertEqual((result.until, self.photo.fetches), (self.clock.seconds() + 10, 1))
        self.clock.ahead = 61
        self.assertEqual((await pipeline.image(self.request(width=30))).state, CacheState.RENEWED)
        self.assertEqual((await self.result(pipeline, 61)).until, self.clock.seconds() + 60)
        self.assertEqual(self.photo.fetches, 2)

    async def test_a_304_brings_a_new_max_age(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=30"
        pipeline = self.pipeline(obey_origin=True)
        await self.result(pipeline, 0)
        self.photo.headers["Cache-Control"] = "max-age=500"
        await self.result(pipeline, 31)
        self.assertEqual((await self.result(pipeline, 400)).state, CacheState.FRESH)

    async def test_a_response_with_no_store_is_not_cached(self) -> None:
        self.photo.headers["Cache-Control"] = "no-store"
        pipeline = self.pipeline(obey_origin=True)
        for _ in range(2):
            self.assertEqual((await self.result(pipeline, 0)).state, CacheState.MADE)

    async def test_an_edited_file_is_rendered_anew_when_its_entry_is_stale(self) -> None:
        with tempfile.TemporaryDirectory() as root:
            file = Path(root, "a.png")
            file.write_bytes(PNG)
            pipeline, request = self.pipeline(ttl=60, root=root), self.request("local:///a.png")
            await pipeline.image(request)
            self.clock.ahead = 61
            self.assertEqual((await pipeline.image(request)).state, CacheState.RENEWED)
            file.write_bytes(OTHER)
            os.utime(file, ns=(0, 0))
            self.assertEqual((await pipeline.image(request)).state, CacheState.FRESH)
            self.clock.ahead = 122
            self.assertEqual((await pipeline.image(request)).entry.rendition.source_width, 80)


class BypassTests(PipelineCase):
    async def test_a_bypassing_request_gets_a_new_picture_and_leaves_the_cached_one(self) -> None:
        pipeline, request = self.pipeline(originals=True, failures=60.0), self.request()
        await pipeline.image(request)
        self.photo.body = OTHER
        bypassing = replace(request, delivery=DeliveryOptions(bypass_cache=True))
        for _ in range(2):
            result = await pipeline.image(bypassing)
            self.assertEqual((result.state, result.entry.rendition.source_width), (CacheState.MADE, 80))
        cached = await pipeline.image(request)
        self.assertEqual((cached.state, cached.entry.rendition.source_width), (CacheState.FRESH, 40))
        self.assertEqual((await pipeline.image(self.request(width=30))).entry.rendition.source_width, 40)
        self.assertEqual(self.photo.fetches, 3)
        self.photo.status = "404 Not Found"
        for _ in range(2):
            with self.assertRaises(SourceMissing):
                await pipeline.image(bypassing)
        self.assertEqual(self.photo.fetches, 5)

    async def test_a_bypassing_info_request_leaves_the_cached_original(self) -> None:
        pipeline, request = self.pipeline(originals=True), InfoRequest(self.request().source)
        self.assertEqual(width_of(await pipeline.info(request)), 40)
        self.photo.body = OTHER
        bypassing = replace(request, delivery=DeliveryOptions(bypass_cache=True))
        self.assertEqual(width_of(await pipeline.info(request)), 40)
        self.assertEqual(width_of(await pipeline.info(bypassing)), 80)
        self.assertEqual(width_of(await pipeline.info(request)), 40)

    async def test_a_cachebuster_makes_another_entry_of_the_same_original(self) -> None:
        pipeline, request = self.pipeline(originals=True), self.request()
        for word in ("", "a", "b"):
            busted = replace(request, delivery=DeliveryOptions(cachebuster=word))
            self.assertEqual((await pipeline.image(busted)).state, CacheState.MADE)
        self.assertEqual(self.photo.fetches, 1)


class StaleTests(PipelineCase):
    async def test_a_stale_entry_is_served_at_once_while_it_is_revalidated(self) -> None:
        pipeline, request = self.pipeline(ttl=60, while_revalidate=30), self.request()
        await pipeline.image(request)
        self.photo.held = Deferred()
        self.photo.body = OTHER
        self.clock.ahead = 61
        for _ in range(5):
            self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
        await until(lambda: self.photo.fetches == 2)
        self.photo.held.callback(None)
        await until(lambda: not pipeline._renders)
        result = await pipeline.image(request)
        self.assertEqual((result.state, result.entry.rendition.source_width), (CacheState.FRESH, 80))
        self.assertEqual(self.photo.fetches, 2)

    async def test_beyond_stale_while_revalidate_clients_wait(self) -> None:
        pipeline, request = self.pipeline(ttl=60, while_revalidate=30), self.request()
        await pipeline.image(request)
        self.clock.ahead = 91
        self.assertEqual((await pipeline.image(request)).state, CacheState.MADE)

    async def test_a_stale_entry_is_served_while_its_origin_fails(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600, failures=2.0), self.request()
        await pipeline.image(request)
        self.photo.status = "503 No"
        self.clock.ahead = 100
        for _ in range(3):
            result = await pipeline.image(request)
            self.assertEqual((result.state, result.failure), (CacheState.STALE, None))
        self.assertEqual(self.photo.fetches, 2)  # a failure within the negative cache's time is not asked for again
        self.clock.ahead = 103
        self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
        self.assertEqual(self.photo.fetches, 3)
        self.clock.ahead = 661
        with self.assertRaises(OriginFailed):
            await pipeline.image(request)
        self.photo.status = "200 OK"
        self.assertEqual((await pipeline.image(request)).state, CacheState.MADE)

    async def test_a_stale_result_is_logged_as_served_only_where_a_client_waited_for_a_new_one(self) -> None:
        pipeline, request = self.pipeline(ttl=60, while_revalidate=30, if_error=600), self.request()
        await pipeline.image(request)
        self.photo.status = "503 No"
        for ahead, wanted in ((61, "a stale result could not be revalidated: "), (91, "served a stale result: ")):
            self.clock.ahead = ahead
            with capturedLogs() as events:
                self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
                await until(lambda: not pipeline._renders)
            lines = [formatEvent(event) for event in events if "stale" in formatEvent(event)]
            self.assertEqual([line.startswith(wanted) for line in lines], [True], lines)

    async def test_a_404_of_the_origin_removes_the_entry(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600), self.request()
        await pipeline.image(request)
        self.photo.status = "404 Not Found"
        self.clock.ahead = 100
        with self.assertRaises(SourceMissing):
            await pipeline.image(request)
        self.clock.ahead = 0
        with self.assertRaises(SourceMissing):  # the entry is gone
            await pipeline.image(request)

    async def test_a_stale_entry_is_served_instead_of_a_429(self) -> None:
        admission = Admission(1, 1)
        pipeline, request = self.pipeline(ttl=60, if_error=600, admission=admission), self.request()
        await pipeline.image(request)
        self.clock.ahead = 100
        with admission.fetch(self.url), admission.fetch(self.url):
            self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
            with self.assertRaises(Overloaded):
                await pipeline.image(replace(request, source=self.url + "?other"))

    async def test_a_stale_entry_is_served_where_the_queue_is_full_once_the_original_is_there(self) -> None:
        admission = Admission(1, 1)
        pipeline, request = self.pipeline(ttl=60, if_error=600, admission=admission), self.request()
        await pipeline.image(request)
        self.clock.ahead = 100
        self.photo.headers = {"ETag": '"2"'}
        self.photo.held = Deferred()
        waiting = Deferred.fromCoroutine(pipeline.image(request))
        await until(lambda: self.photo.fetches == 2)
        with admission.render(), admission.render():
            self.photo.held.callback(None)
            self.assertEqual((await waiting).state, CacheState.STALE)

    async def test_cached_entries_of_a_quarantined_source_are_served_fresh_or_stale(self) -> None:
        quarantined: set[str] = set()

        class Crashed(NullCrashTracker):
            def is_quarantined(self, source: str) -> bool:
                return source in quarantined

        pipeline, request = self.pipeline(ttl=60, if_error=600, quarantine=Quarantine(Crashed())), self.request()
        await pipeline.image(request)
        quarantined.add(self.url)
        self.assertEqual((await pipeline.image(request)).state, CacheState.FRESH)
        self.clock.ahead = 100
        self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
        with self.assertRaises(Quarantined):
            await pipeline.image(replace(request, options=replace(request.options, width=9)))

    async def test_a_stale_entry_is_served_instead_of_a_fallback_image(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600, fallback=OTHER), self.request()
        await pipeline.image(request)
        self.photo.status = "503 No"
        self.clock.ahead = 100
        self.assertEqual((await pipeline.image(request)).entry.rendition.source_width, 40)

    async def test_a_fallback_image_is_made_once_while_its_own_origin_fails(self) -> None:
        other = Photo()
        self.photo.status = "404 Not Found"
        pipeline = self.pipeline(fallback_url=self.origin(other).url("/b.png"), failures=2.0)
        first = await pipeline.image(self.request())
        other.status = "503 No"
        self.clock.ahead = 100
        entries = {
            id((await pipeline.image(replace(self.request(), source=f"{self.url}?{n}"))).entry) for n in range(5)
        }
        self.assertEqual(entries, {id(first.entry)})

    async def test_requests_at_once_get_their_own_fallback_images(self) -> None:
        self.photo.status, self.photo.held = "404 Not Found", Deferred()
        pipeline, plain = self.pipeline(), self.request()
        urls = [self.origin(Photo(encode(gradient(width, 30), "PNG"))).url("/b.png") for width in (50, 60)]
        wanted = [replace(plain, delivery=DeliveryOptions(fallback_image_url=url)) for url in urls]
        asked = [self.begin(pipeline, one) for one in (wanted[0], plain, wanted[1])]
        await until(lambda: self.photo.fetches)
        self.photo.held.callback(None)
        with self.assertRaises(SourceMissing):
            await asked[1]
        widths = [(await one).entry.rendition.source_width for one in (asked[0], asked[2])]
        self.assertEqual(widths, [50, 60])
