"""The headers of an image, but for those about caching and its name."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import CacheEntry, ImageRequest, Rendition
from imgforge.web import Answer, AnswerSettings
from imgforge.web.http import ServedImage, image_answer
from tests.support.requests import REQUEST

NOW = 1_800_000_000.0
RENDITION = Rendition(b"pixels", "jpeg", "image/jpeg", 3, 2, "png", 30, 20, 999)
ENTRY = CacheEntry(RENDITION, NOW, "abc123", source_last_modified="Wed, 21 Oct 2015 07:28:00 GMT")


def answer(entry: CacheEntry = ENTRY, request: ImageRequest = REQUEST, **settings: object) -> Answer:
    chosen = replace(AnswerSettings(), **settings)  # type: ignore[arg-type]
    return image_answer(ServedImage(entry, NOW, "imgforge; hit"), request, chosen)


def header(name: bytes, image: Answer) -> bytes | None:
    return dict(image.headers).get(name)


class HeaderTests(SynchronousTestCase):
    def test_default_headers_are_imgproxys(self) -> None:
        image = answer()
        self.assertEqual((image.status, image.body), (200, b"pixels"))
        self.assertEqual(header(b"Content-Type", image), b"image/jpeg")
        self.assertEqual(header(b"Cache-Control", image), b"max-age=31536000, public")
        self.assertEqual(header(b"ETag", image), b'"abc123"')
        self.assertEqual(header(b"Last-Modified", image), b"Wed, 21 Oct 2015 07:28:00 GMT")
        self.assertEqual(header(b"Content-Disposition", image), b'inline; filename="photo.one.jpg"')
        self.assertIn(b"sandbox", header(b"Content-Security-Policy", image) or b"")
        self.assertIsNone(header(b"Vary", image))

    def test_vary_and_cache_key_are_sent_if_there_are_any(self) -> None:
        image = image_answer(ServedImage(ENTRY, NOW, vary=[b"Accept", b"X-A"], key=b"\x0a"), REQUEST, AnswerSettings())
        self.assertEqual((header(b"Vary", image), header(b"X-Cache-Key", image)), (b"Accept, X-A", b"0a"))
        self.assertIsNone(header(b"X-Cache-Key", answer()))

    def test_server_timing_has_the_stages(self) -> None:
        timings = [("fetch", 0.03004), ("process", 1.5)]
        image = image_answer(ServedImage(ENTRY, NOW, timings=timings), REQUEST, AnswerSettings())
        self.assertEqual(header(b"Server-Timing", image), b"fetch;dur=30.0, process;dur=1500.0")
        self.assertIsNone(header(b"Server-Timing", answer()))

    def test_line_breaks_of_an_origin_are_removed(self) -> None:
        entry = replace(ENTRY, source_cache_control="x\r\nSet-Cookie: a", source_last_modified="no date\r\n")
        image = answer(entry, cache_control_passthrough=True)
        self.assertEqual(header(b"Cache-Control", image), b"xSet-Cookie: a")
        self.assertIsNone(header(b"Last-Modified", image))

    def test_debug_headers_have_the_sizes(self) -> None:
        image = answer(debug_headers=True)
        self.assertEqual(header(b"X-Origin-Width", image), b"30")
        self.assertEqual(header(b"X-Result-Height", image), b"2")
        self.assertEqual(header(b"X-Origin-Content-Length", image), b"999")
