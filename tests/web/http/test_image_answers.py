"""The headers of an image, and when a client's copy is still good."""

from __future__ import annotations

from dataclasses import replace
from email.message import Message

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import SourceNotFound
from imgforge.model import CacheEntry, DeliveryOptions, ImageRequest, Rendition
from imgforge.web import Answer, AnswerSettings
from imgforge.web.http import ServedImage, content_disposition, image_answer, streamed_cache_control
from tests.support.requests import REQUEST

NOW = 1_800_000_000.0
RENDITION = Rendition(b"pixels", "jpeg", "image/jpeg", 3, 2, "png", 30, 20, 999)
ENTRY = CacheEntry(RENDITION, NOW, "abc123", source_last_modified="Wed, 21 Oct 2015 07:28:00 GMT")


def answer(entry: CacheEntry = ENTRY, request: ImageRequest = REQUEST, **settings: object) -> Answer:
    chosen = replace(AnswerSettings(), **settings)  # type: ignore[arg-type]
    return image_answer(ServedImage(entry, NOW, "imgforge; hit"), request, chosen)


def header(name: bytes, made: Answer) -> bytes | None:
    return dict(made.headers).get(name)


class HeaderTests(SynchronousTestCase):
    def test_the_defaults_are_imgproxys(self) -> None:
        made = answer()
        self.assertEqual((made.status, made.body), (200, b"pixels"))
        self.assertEqual(header(b"Content-Type", made), b"image/jpeg")
        self.assertEqual(header(b"Cache-Control", made), b"max-age=31536000, public")
        self.assertEqual(header(b"ETag", made), b'"abc123"')
        self.assertEqual(header(b"Last-Modified", made), b"Wed, 21 Oct 2015 07:28:00 GMT")
        self.assertEqual(header(b"Content-Disposition", made), b'inline; filename="photo.one.jpg"')
        self.assertIn(b"sandbox", header(b"Content-Security-Policy", made) or b"")
        self.assertIsNone(header(b"Vary", made))

    def test_expires_cuts_the_max_age(self) -> None:
        soon = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        self.assertEqual(header(b"Cache-Control", answer(request=soon)), b"max-age=60, public")

    def test_the_age_counts_from_when_the_origin_was_asked_if_its_max_age_is_handed_on(self) -> None:
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

    def test_an_expiry_of_zero_is_never(self) -> None:
        never = replace(REQUEST, delivery=DeliveryOptions(expires=0))
        self.assertEqual(header(b"Cache-Control", answer(request=never)), b"max-age=31536000, public")

    def test_clients_may_show_an_old_image_while_they_renew_it_where_the_operator_says_so(self) -> None:
        swr = 60
        self.assertEqual(
            header(b"Cache-Control", answer(stale_while_revalidate=swr)),
            b"max-age=31536000, public, stale-while-revalidate=60",
        )
        self.assertEqual(header(b"Cache-Control", answer(ttl=0, stale_while_revalidate=swr)), b"no-cache")
        soon = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        self.assertEqual(
            header(b"Cache-Control", answer(request=soon, stale_while_revalidate=swr)), b"max-age=60, public"
        )

    def test_it_varies_by_what_it_is_said_to(self) -> None:
        made = image_answer(ServedImage(ENTRY, NOW, vary=[b"Accept", b"X-A"], key=b"\x0a"), REQUEST, AnswerSettings())
        self.assertEqual((header(b"Vary", made), header(b"X-Cache-Key", made)), (b"Accept, X-A", b"0a"))
        self.assertIsNone(header(b"X-Cache-Key", answer()))

    def test_it_tells_how_long_it_took_to_make(self) -> None:
        timings = [("fetch", 0.03004), ("process", 1.5)]
        made = image_answer(ServedImage(ENTRY, NOW, timings=timings), REQUEST, AnswerSettings())
        self.assertEqual(header(b"Server-Timing", made), b"fetch;dur=30.0, process;dur=1500.0")
        self.assertIsNone(header(b"Server-Timing", answer()))

    def test_the_origins_word_passes_through_where_asked(self) -> None:
        entry = replace(ENTRY, source_cache_control="private, max-age=5")
        self.assertEqual(header(b"Cache-Control", answer(entry)), b"max-age=31536000, public")
        passed = answer(entry, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", passed), b"private, max-age=5")

    def test_the_origins_word_does_not_outlive_the_url(self) -> None:
        soon = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        for said, expires in (("max-age=9999", ""), ("", "Wed, 21 Oct 2035 07:28:00 GMT")):
            entry = replace(ENTRY, source_cache_control=said, source_expires=expires)
            made = answer(entry, request=soon, cache_control_passthrough=True)
            self.assertEqual(header(b"Cache-Control", made), b"max-age=60, public")
            self.assertEqual((header(b"Expires", made), header(b"Age", made)), (None, None))
        private = replace(ENTRY, source_cache_control="private, max-age=5")
        passed = answer(private, request=soon, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", passed), b"private, max-age=5")

    def test_nothing_in_the_origins_word_outlives_the_url(self) -> None:
        soon = DeliveryOptions(expires=int(NOW) + 60)
        settings = AnswerSettings(cache_control_passthrough=True)
        for said, wanted in (
            ("private, max-age=31536000", b"private, max-age=60"),
            ("x-private-tier=1, max-age=31536000", b"x-private-tier=1, max-age=60, public"),
            ('x="no-store", s-maxage=31536000', b'max-age=60, x="no-store", s-maxage=60, public'),
            ("no-cache, max-age=31536000", b"no-cache, max-age=60"),
            ("max-age=5, stale-if-error=31536000", b"max-age=5, stale-if-error=55, public"),
            ("max-age=5, must-revalidate", b"max-age=5, must-revalidate, public"),
        ):
            entry = replace(ENTRY, source_cache_control=said)
            made = answer(entry, replace(REQUEST, delivery=soon), cache_control_passthrough=True)
            self.assertEqual(header(b"Cache-Control", made), wanted)
            self.assertEqual(streamed_cache_control(said, soon, settings, NOW), wanted)

    def test_what_is_left_of_the_origins_time_counts_from_now_where_the_url_ends(self) -> None:
        soon = replace(REQUEST, delivery=DeliveryOptions(expires=int(NOW) + 60))
        entry = replace(ENTRY, stored_at=NOW - 70, source_cache_control="max-age=100")
        made = answer(entry, soon, cache_control_passthrough=True)
        self.assertEqual((header(b"Cache-Control", made), header(b"Age", made)), (b"max-age=30, public", None))
        entry = replace(ENTRY, source_expires="Fri, 15 Jan 2027 08:00:20 GMT")  # in 20 seconds
        made = answer(entry, soon, cache_control_passthrough=True)
        self.assertEqual((header(b"Cache-Control", made), header(b"Expires", made)), (b"max-age=20, public", None))

    def test_a_fallback_images_own_lifetime_goes_before_its_origins_word(self) -> None:
        entry = replace(ENTRY, source_cache_control="max-age=9999")
        settings = AnswerSettings(cache_control_passthrough=True, fallback_ttl=30)
        made = image_answer(ServedImage(entry, NOW, failure=SourceNotFound("gone")), REQUEST, settings)
        self.assertEqual(header(b"Cache-Control", made), b"max-age=30, public")

    def test_of_what_is_streamed_too(self) -> None:
        passing, never = AnswerSettings(cache_control_passthrough=True), DeliveryOptions(expires=0)
        soon = DeliveryOptions(expires=int(NOW) + 60)
        for settings, delivery, said, wanted in (
            (passing, never, "max-age=5", b"max-age=5"),
            (passing, never, "", b"max-age=31536000, public"),
            (passing, soon, "max-age=5000", b"max-age=60, public"),
            (passing, soon, "no-store", b"no-store"),
            (AnswerSettings(), soon, "max-age=5000", b"max-age=60, public"),
            (AnswerSettings(), never, "max-age=5000", b"max-age=31536000, public"),
        ):
            self.assertEqual(streamed_cache_control(said, delivery, settings, NOW), wanted)

    def test_no_origin_can_break_a_header(self) -> None:
        entry = replace(ENTRY, source_cache_control="x\r\nSet-Cookie: a", source_last_modified="no date\r\n")
        made = answer(entry, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", made), b"xSet-Cookie: a")
        self.assertIsNone(header(b"Last-Modified", made))

    def test_debug_headers_tell_the_sizes(self) -> None:
        made = answer(debug_headers=True)
        self.assertEqual(header(b"X-Origin-Width", made), b"30")
        self.assertEqual(header(b"X-Result-Height", made), b"2")
        self.assertEqual(header(b"X-Origin-Content-Length", made), b"999")


class DispositionTests(SynchronousTestCase):
    def named(self, name: str, attachment: bool = False) -> bytes:
        return content_disposition(replace(REQUEST, delivery=DeliveryOptions(filename=name)), "png", attachment)

    def test_a_given_name_replaces_the_stem_as_it_stands(self) -> None:
        self.assertEqual(self.named("a.png"), b'inline; filename="a.png.png"')

    def test_quotes_cannot_end_the_name(self) -> None:
        self.assertEqual(self.named('a"b'), b'inline; filename="a%22b.png"')

    def test_the_operator_may_ask_for_attachments_and_the_url_may_differ(self) -> None:
        self.assertTrue(self.named("a", attachment=True).startswith(b"attachment;"))
        inline = replace(REQUEST, delivery=DeliveryOptions(return_attachment=False))
        self.assertTrue(content_disposition(inline, "png", True).startswith(b"inline;"))

    @given(st.text(min_size=1))
    def test_any_name_makes_one_parameter_of_printable_ascii(self, name: str) -> None:
        value = self.named(name).decode("ascii")
        self.assertTrue(value.isprintable())
        message = Message()
        message["Content-Disposition"] = value
        self.assertEqual(message.get_content_disposition(), "inline")

    def test_the_source_itself_keeps_its_name(self) -> None:
        raw = ImageRequest("http://origin.example/a/photo.jpg?x=1")
        self.assertEqual(content_disposition(raw, "", False), b'inline; filename="photo.jpg"')
        named = replace(raw, delivery=DeliveryOptions(filename="mine"))
        self.assertEqual(content_disposition(named, "", False), b'inline; filename="mine.jpg"')

    def test_the_percent_signs_of_a_files_name_are_its_own(self) -> None:
        for source, name in (
            ("local:///a/50%25.jpg", b"50%25.jpg"),
            ("local:///a%20b.jpg?v=1", b"a%20b.jpg"),
            ("local:///%E4%22.jpg", b"%E4%22.jpg"),
            ("http://origin.example/a%20b.jpg", b"a b.jpg"),
        ):
            raw = ImageRequest(source)
            self.assertEqual(content_disposition(raw, "", False), b'inline; filename="' + name + b'"')

    def test_a_source_without_a_name_is_called_image(self) -> None:
        self.assertEqual(
            content_disposition(ImageRequest("http://origin.example/"), "webp", False), b'inline; filename="image.webp"'
        )
