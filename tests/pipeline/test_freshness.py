"""How long entries are good, and what becomes of them afterwards."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import OriginFailed, Overloaded, Quarantined, SourceMissing
from imgforge.model import CacheEntry, DeliveryOptions, InfoRequest, Rendition, Watermark
from imgforge.pipeline import (
    Admission,
    CachedResult,
    CacheState,
    NullCrashTracker,
    Pipeline,
    Quarantine,
    StalenessPolicy,
)
from tests.support.pictures import encode, gradient
from tests.support.pipeline_case import PNG, PipelineCase
from tests.support.scripted_origin import until

OTHER = encode(gradient(80, 30), "PNG")


class TermsTests(SynchronousTestCase):
    """What an origin's headers mean."""

    def terms(self, cache_control: str, expires: str = "") -> tuple[float, float, float]:
        own = StalenessPolicy(ttl=100, while_revalidate=10, if_error=20, obey_origin=True)
        rules = own.rules(cache_control, expires, asked_at=1_000_000.0)
        return rules.lifetime, rules.while_revalidate, rules.if_error

    def test_what_the_origin_says_goes_before_the_operators_words(self) -> None:
        for cache_control, wanted in (
            ("", (100, 10, 20)),
            ("public", (100, 10, 20)),
            ("max-age=5", (5, 10, 20)),
            ("max-age=5, s-maxage=7", (7, 10, 20)),
            ('Max-Age="5"', (5, 10, 20)),
            ("max-age=5, max-age=9", (5, 10, 20)),
            ("max-age=5,stale-while-revalidate=1,stale-if-error=2", (5, 1, 2)),
            ("max-age=5, must-revalidate", (5, 0, 0)),
            ("max-age=5, no-cache", (0, 0, 0)),
            ("no-cache", (0, 0, 0)),
            ("max-age=nonsense", (0, 10, 20)),
            ("max-age=-1", (0, 10, 20)),
            ("max-age", (0, 10, 20)),
            ("max-age=" + "9" * 500, (0, 10, 20)),
            ('private="x, max-age=3", max-age=5', (0, 0, 0)),
        ):
            self.assertEqual(self.terms(cache_control), wanted, cache_control)

    def test_expires_counts_where_there_is_no_age(self) -> None:
        soon = formatdate(1_000_030, usegmt=True)
        self.assertEqual(self.terms("", soon)[0], 30)
        self.assertEqual(self.terms("max-age=5", soon)[0], 5)
        for expires in ("0", "-1", "never", formatdate(10, usegmt=True), "Sun, 99 Nov 9999 99:99:99 GMT"):
            self.assertEqual(self.terms("", expires)[0], 0)

    def test_what_is_not_to_be_stored_is_not_kept(self) -> None:
        for cache_control, kept in (("no-store", False), ("private", False), ("no-cache", True), ("max-age=0", True)):
            self.assertEqual(StalenessPolicy(obey_origin=True).is_storable(cache_control, ""), kept)
            self.assertTrue(StalenessPolicy(obey_origin=False).is_storable(cache_control, ""))

    def test_an_origin_that_is_not_obeyed_says_nothing(self) -> None:
        self.assertEqual(StalenessPolicy(ttl=9).rules("max-age=5", "0", 0.0).lifetime, 9)
        self.assertEqual(StalenessPolicy().rules("max-age=5", "0", 0.0).lifetime, math.inf)

    @given(st.text(), st.text(), st.floats(-1e12, 1e12))
    def test_no_header_breaks_anything(self, cache_control: str, expires: str, asked_at: float) -> None:
        rules = StalenessPolicy(5, 6, 7, obey_origin=True).rules(cache_control, expires, asked_at)
        self.assertTrue(rules.lifetime >= 0 and rules.while_revalidate >= 0 and rules.if_error >= 0)

    def test_a_clock_that_is_put_back_keeps_nothing_for_ever(self) -> None:
        entry = CacheEntry(Rendition(b"", "png", ""), stored_at=1000.0, etag="")
        own = StalenessPolicy(ttl=60)
        for now, fresh in ((1000, True), (1059, True), (1061, False), (941, True), (939, False)):
            self.assertEqual(own.is_fresh(entry, now), fresh)


class RenewalTests(PipelineCase):
    def setUp(self) -> None:
        super().setUp()
        self.photo.headers = {"ETag": '"1"'}

    async def served(self, pipeline: Pipeline, at: float) -> CachedResult:
        self.clock.ahead = at
        return await pipeline.image(self.request())

    async def test_a_stale_entry_whose_original_is_unchanged_is_renewed_without_rendering(self) -> None:
        pipeline = self.pipeline(ttl=60)
        first = await self.served(pipeline, 0)
        self.assertEqual(first.state, CacheState.MADE)
        self.assertEqual((await self.served(pipeline, 59)).state, CacheState.FRESH)
        again = await self.served(pipeline, 61)
        self.assertEqual((again.state, again.entry.etag, again.tier), (CacheState.RENEWED, first.entry.etag, "memory"))
        self.assertIn('if-none-match: "1"', self.photo.asked[-1])
        self.assertIs(again.entry.rendition, first.entry.rendition)
        self.assertEqual((await self.served(pipeline, 120)).state, CacheState.FRESH)
        self.assertEqual(self.photo.fetches, 2)
        self.assertEqual(again.until, first.until + 61)

    async def test_a_stale_entry_whose_original_has_changed_is_made_anew(self) -> None:
        pipeline = self.pipeline(ttl=60)
        await self.served(pipeline, 0)
        self.photo.headers, self.photo.body = {"ETag": '"2"'}, OTHER
        changed = await self.served(pipeline, 61)
        self.assertEqual((changed.state, changed.entry.rendition.source_width), (CacheState.MADE, 80))
        self.assertEqual((await self.served(pipeline, 100)).entry.rendition.source_width, 80)

    async def test_an_origin_without_validators_is_asked_for_everything(self) -> None:
        self.photo.headers = {}
        pipeline = self.pipeline(ttl=60)
        await self.served(pipeline, 0)
        self.assertEqual((await self.served(pipeline, 61)).state, CacheState.MADE)

    async def test_an_origin_that_ignores_validators_but_sends_the_same_costs_no_rendering(self) -> None:
        pipeline = self.pipeline(ttl=60)
        await self.served(pipeline, 0)
        self.photo.headers = {"eTag": '"1"'}  # this one's own look-up is by "ETag"
        self.assertEqual((await self.served(pipeline, 61)).state, CacheState.RENEWED)

    async def test_kept_originals_renew_entries_without_a_question(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=1000"
        pipeline = self.pipeline(originals=True, ttl=60)
        await self.served(pipeline, 0)
        self.assertEqual((await self.served(pipeline, 61)).state, CacheState.RENEWED)
        self.assertEqual(self.photo.fetches, 1)

    async def test_an_entry_with_a_watermark_by_url_is_made_anew(self) -> None:
        # Its source may be unchanged, and the watermark not.
        pipeline = self.pipeline(ttl=60)
        marked = self.request(watermark=Watermark(1.0, scale=0.2), watermark_url=self.url)
        await pipeline.image(marked)
        self.clock.ahead = 61
        self.assertEqual((await pipeline.image(marked)).state, CacheState.MADE)

    async def test_the_origins_terms_rule_where_they_are_passed_through(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=30"
        obeys, ignores = self.pipeline(ttl=60, obey_origin=True), self.pipeline(ttl=60)
        for pipeline, state in ((obeys, CacheState.RENEWED), (ignores, CacheState.FRESH)):
            await self.served(pipeline, 0)
            self.assertEqual((await self.served(pipeline, 31)).state, state)

    async def test_what_is_made_of_a_kept_original_is_as_old_as_that(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=60"
        pipeline = self.pipeline(originals=True, obey_origin=True)
        await self.served(pipeline, 0)
        self.clock.ahead = 50
        made = await pipeline.image(self.request(width=30))
        self.assertEqual((made.until, self.photo.fetches), (self.clock.seconds() + 10, 1))
        self.clock.ahead = 61
        self.assertEqual((await pipeline.image(self.request(width=30))).state, CacheState.RENEWED)
        self.assertEqual((await self.served(pipeline, 61)).until, self.clock.seconds() + 60)
        self.assertEqual(self.photo.fetches, 2)

    async def test_a_304_brings_new_terms(self) -> None:
        self.photo.headers["Cache-Control"] = "max-age=30"
        pipeline = self.pipeline(obey_origin=True)
        await self.served(pipeline, 0)
        self.photo.headers["Cache-Control"] = "max-age=500"
        await self.served(pipeline, 31)
        self.assertEqual((await self.served(pipeline, 400)).state, CacheState.FRESH)

    async def test_what_must_not_be_stored_is_not(self) -> None:
        self.photo.headers["Cache-Control"] = "no-store"
        pipeline = self.pipeline(obey_origin=True)
        for _ in range(2):
            self.assertEqual((await self.served(pipeline, 0)).state, CacheState.MADE)

    async def test_an_edited_file_is_seen_when_its_entry_is_stale(self) -> None:
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
    async def test_who_passes_by_the_caches_gets_a_new_picture_and_leaves_the_old_one(self) -> None:
        pipeline, request = self.pipeline(originals=True, failures=60.0), self.request()
        await pipeline.image(request)
        self.photo.body = OTHER
        bypassing = replace(request, delivery=DeliveryOptions(bypass_cache=True))
        for _ in range(2):
            served = await pipeline.image(bypassing)
            self.assertEqual((served.state, served.entry.rendition.source_width), (CacheState.MADE, 80))
        kept = await pipeline.image(request)
        self.assertEqual((kept.state, kept.entry.rendition.source_width), (CacheState.FRESH, 40))
        self.assertEqual((await pipeline.image(self.request(width=30))).entry.rendition.source_width, 40)
        self.assertEqual(self.photo.fetches, 3)
        self.photo.status = "404 Not Found"
        for _ in range(2):
            with self.assertRaises(SourceMissing):
                await pipeline.image(bypassing)
        self.assertEqual(self.photo.fetches, 5)

    async def test_so_does_who_asks_for_information(self) -> None:
        pipeline, request = self.pipeline(originals=True), InfoRequest(self.request().source)
        self.assertEqual((await pipeline.info(request))["width"], 40)
        self.photo.body = OTHER
        bypassing = replace(request, delivery=DeliveryOptions(bypass_cache=True))
        self.assertEqual((await pipeline.info(request))["width"], 40)
        self.assertEqual((await pipeline.info(bypassing))["width"], 80)
        self.assertEqual((await pipeline.info(request))["width"], 40)

    async def test_a_cachebuster_makes_another_entry_of_the_same_original(self) -> None:
        pipeline, request = self.pipeline(originals=True), self.request()
        for word in ("", "a", "b"):
            busted = replace(request, delivery=DeliveryOptions(cachebuster=word))
            self.assertEqual((await pipeline.image(busted)).state, CacheState.MADE)
        self.assertEqual(self.photo.fetches, 1)


class StaleTests(PipelineCase):
    async def test_a_stale_entry_is_served_at_once_while_it_is_renewed(self) -> None:
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
        served = await pipeline.image(request)
        self.assertEqual((served.state, served.entry.rendition.source_width), (CacheState.FRESH, 80))
        self.assertEqual(self.photo.fetches, 2)

    async def test_beyond_that_time_clients_wait(self) -> None:
        pipeline, request = self.pipeline(ttl=60, while_revalidate=30), self.request()
        await pipeline.image(request)
        self.clock.ahead = 91
        self.assertEqual((await pipeline.image(request)).state, CacheState.MADE)

    async def test_a_stale_entry_stands_in_for_an_origin_that_fails(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600, failures=2.0), self.request()
        await pipeline.image(request)
        self.photo.status = "503 No"
        self.clock.ahead = 100
        for _ in range(3):
            served = await pipeline.image(request)
            self.assertEqual((served.state, served.failure), (CacheState.STALE, None))
        self.assertEqual(self.photo.fetches, 2)  # the origin is spared for a moment
        self.clock.ahead = 103
        self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
        self.assertEqual(self.photo.fetches, 3)
        self.clock.ahead = 661
        with self.assertRaises(OriginFailed):
            await pipeline.image(request)
        self.photo.status = "200 OK"
        self.assertEqual((await pipeline.image(request)).state, CacheState.MADE)

    async def test_an_origin_that_says_there_is_none_is_believed(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600), self.request()
        await pipeline.image(request)
        self.photo.status = "404 Not Found"
        self.clock.ahead = 100
        with self.assertRaises(SourceMissing):
            await pipeline.image(request)
        self.clock.ahead = 0
        with self.assertRaises(SourceMissing):  # the entry is gone
            await pipeline.image(request)

    async def test_a_stale_entry_is_better_than_a_refusal(self) -> None:
        admission = Admission(1, 1)
        pipeline, request = self.pipeline(ttl=60, if_error=600, admission=admission), self.request()
        await pipeline.image(request)
        self.clock.ahead = 100
        with admission.fetch(self.url), admission.fetch(self.url):
            self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
            with self.assertRaises(Overloaded):
                await pipeline.image(replace(request, source=self.url + "?other"))

    async def test_kept_entries_of_a_source_in_quarantine_are_served_fresh_or_stale(self) -> None:
        refused: set[str] = set()

        class Crashed(NullCrashTracker):
            def is_quarantined(self, source: str) -> bool:
                return source in refused

        pipeline, request = self.pipeline(ttl=60, if_error=600, quarantine=Quarantine(Crashed())), self.request()
        await pipeline.image(request)
        refused.add(self.url)
        self.assertEqual((await pipeline.image(request)).state, CacheState.FRESH)
        self.clock.ahead = 100
        self.assertEqual((await pipeline.image(request)).state, CacheState.STALE)
        with self.assertRaises(Quarantined):
            await pipeline.image(replace(request, options=replace(request.options, width=9)))

    async def test_a_stale_entry_is_better_than_a_fallback_image(self) -> None:
        pipeline, request = self.pipeline(ttl=60, if_error=600, fallback=OTHER), self.request()
        await pipeline.image(request)
        self.photo.status = "503 No"
        self.clock.ahead = 100
        self.assertEqual((await pipeline.image(request)).entry.rendition.source_width, 40)
