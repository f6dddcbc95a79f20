"""Cache-Control, Expires and Age of an image, a streamed source and a fallback image."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.model import CacheEntry, DeliveryOptions, ImageRequest, Rendition
from imgforge.web import Answer, AnswerSettings
from imgforge.web.http import ServedImage, image_answer, streamed_cache_control
from tests.support.requests import REQUEST

NOW = 1_800_000_000.0
RENDITION = Rendition(b"pixels", "jpeg", "image/jpeg", 3, 2, "png", 30, 20, 999)
ENTRY = CacheEntry(RENDITION, NOW, "abc123", source_last_modified="Wed, 21 Oct 2015 07:28:00 GMT")


def answer(entry: CacheEntry = ENTRY, request: ImageRequest = REQUEST, **settings: object) -> Answer:
    chosen = replace(AnswerSettings(), **settings)  # type: ignore[arg-type]
    return image_answer(ServedImage(entry, NOW, "imgforge; hit"), request, chosen)


def header(name: bytes, image: Answer) -> bytes | None:
    return dict(image.headers).get(name)


class CacheHeaderTests(SynchronousTestCase):
    def test_max_age_ends_with_the_url(self) -> None:
        expiring = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        self.assertEqual(header(b"Cache-Control", answer(request=expiring)), b"max-age=60, public")

    def test_age_counts_from_the_origins_response_if_its_max_age_is_passed_on(self) -> None:
        old = replace(ENTRY, stored_at=NOW - 30, source_cache_control="max-age=60")
        for entry, age in (
            (old, b"30"),
            (replace(old, asked_at=NOW - 99.5), b"99"),
            (replace(old, stored_at=NOW - 0.5), None),
            (replace(old, stored_at=NOW + 60), None),  # a clock that was put back
            (replace(old, source_cache_control="", source_expires="Wed, 21 Oct 2035 07:28:00 GMT"), None),
            (replace(old, source_cache_control=""), None),
        ):
            self.assertEqual(header(b"Age", answer(entry, cache_control_passthrough=True)), age, entry)
            self.assertIsNone(header(b"Age", answer(entry)))

    def test_expires_of_zero_is_never(self) -> None:
        without_end = replace(REQUEST, delivery=DeliveryOptions(expires=0))
        self.assertEqual(header(b"Cache-Control", answer(request=without_end)), b"max-age=31536000, public")

    def test_stale_while_revalidate_is_sent_if_configured(self) -> None:
        swr = 60
        self.assertEqual(
            header(b"Cache-Control", answer(stale_while_revalidate=swr)),
            b"max-age=31536000, public, stale-while-revalidate=60",
        )
        self.assertEqual(header(b"Cache-Control", answer(ttl=0, stale_while_revalidate=swr)), b"no-cache")
        expiring = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        self.assertEqual(
            header(b"Cache-Control", answer(request=expiring, stale_while_revalidate=swr)), b"max-age=60, public"
        )

    def test_origins_cache_control_is_passed_on_if_configured(self) -> None:
        entry = replace(ENTRY, source_cache_control="private, max-age=5")
        self.assertEqual(header(b"Cache-Control", answer(entry)), b"max-age=31536000, public")
        unchanged = answer(entry, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", unchanged), b"private, max-age=5")

    def test_origins_max_age_ends_with_the_url(self) -> None:
        expiring = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        for cache_control, expires in (("max-age=9999", ""), ("", "Wed, 21 Oct 2035 07:28:00 GMT")):
            entry = replace(ENTRY, source_cache_control=cache_control, source_expires=expires)
            image = answer(entry, request=expiring, cache_control_passthrough=True)
            self.assertEqual(header(b"Cache-Control", image), b"max-age=60, public")
            self.assertEqual((header(b"Expires", image), header(b"Age", image)), (None, None))
        private = replace(ENTRY, source_cache_control="private, max-age=5")
        unchanged = answer(private, request=expiring, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", unchanged), b"private, max-age=5")

    def test_no_directive_of_the_origin_outlives_the_url(self) -> None:
        expiring = DeliveryOptions(expires=int(NOW) + 60)
        settings = AnswerSettings(cache_control_passthrough=True)
        for cache_control, wanted in (
            ("private, max-age=31536000", b"private, max-age=60"),
            ("x-private-tier=1, max-age=31536000", b"x-private-tier=1, max-age=60, public"),
            ('x="no-store", s-maxage=31536000', b'max-age=60, x="no-store", s-maxage=60, public'),
            ("no-cache, max-age=31536000", b"no-cache, max-age=60"),
            ("max-age=5, stale-if-error=31536000", b"max-age=5, stale-if-error=55, public"),
            ("max-age=5, must-revalidate", b"max-age=5, must-revalidate, public"),
        ):
            entry = replace(ENTRY, source_cache_control=cache_control)
            image = answer(entry, replace(REQUEST, delivery=expiring), cache_control_passthrough=True)
            self.assertEqual(header(b"Cache-Control", image), wanted)
            self.assertEqual(streamed_cache_control(cache_control, expiring, settings, NOW), wanted)

    def test_rest_of_the_origins_max_age_counts_from_now_if_the_url_expires(self) -> None:
        expiring = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        entry = replace(ENTRY, stored_at=NOW - 70, source_cache_control="max-age=100")
        image = answer(entry, expiring, cache_control_passthrough=True)
        self.assertEqual((header(b"Cache-Control", image), header(b"Age", image)), (b"max-age=30, public", None))
        entry = replace(ENTRY, source_expires="Fri, 15 Jan 2027 08:00:20 GMT")  # in 20 seconds
        image = answer(entry, expiring, cache_control_passthrough=True)
        self.assertEqual((header(b"Cache-Control", image), header(b"Expires", image)), (b"max-age=20, public", None))

    def test_fallback_ttl_takes_precedence_over_the_origin(self) -> None:
        entry = replace(ENTRY, source_cache_control="max-age=9999")
        settings = AnswerSettings(cache_control_passthrough=True, fallback_ttl=30)
        image = image_answer(ServedImage(entry, NOW, failure=SourceNotFound("gone")), REQUEST, settings)
        self.assertEqual(header(b"Cache-Control", image), b"max-age=30, public")

    def test_cache_control_of_a_streamed_source(self) -> None:
        passing, without_end = AnswerSettings(cache_control_passthrough=True), DeliveryOptions(expires=0)
        expiring = DeliveryOptions(expires=int(NOW) + 60)
        for settings, delivery, cache_control, wanted in (
            (passing, without_end, "max-age=5", b"max-age=5"),
            (passing, without_end, "", b"max-age=31536000, public"),
            (passing, expiring, "max-age=5000", b"max-age=60, public"),
            (passing, expiring, "no-store", b"no-store"),
            (AnswerSettings(), expiring, "max-age=5000", b"max-age=60, public"),
            (AnswerSettings(), without_end, "max-age=5000", b"max-age=31536000, public"),
        ):
            self.assertEqual(streamed_cache_control(cache_control, delivery, settings, NOW), wanted)
