"""PDF, by way of the extra; the documents are written by hand."""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import zlib
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import ImgforgeError, NotAnImage, ResultTooLarge, SourceTooLarge, UnsupportedFormat
from imgforge.model import InfoOptions, ProcessingOptions, Watermark
from imgforge.processing import ProcessingSettings, capabilities, describe, detect_format, process
from tests.support.effect_case import EffectCase, flat, made, pixels

RED, BLUE = "1 0 0 rg", "0 0 1 rg"
WHITE = [255, 255, 255, 255]


def pdf(*pages: tuple[float, float, str]) -> bytes:
    """A document of *pages*: width and height in points, and what draws them."""
    kids = " ".join(f"{3 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode()]
    for index, (width, height, drawing) in enumerate(pages):
        box = f"/MediaBox[0 0 {width} {height}]/Contents {4 + 2 * index} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R{box}>>".encode())
        objects.append(stream("", drawing.encode()))
    return document(*objects)


def stream(entries: str, content: bytes) -> bytes:
    return f"<<{entries}/Length {len(content)}>>stream\n".encode() + content + b"\nendstream"


def document(*objects: bytes) -> bytes:
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj%bendobj\n" % (number, one)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def drawn(*objects: bytes) -> bytes:
    """A document of one page; *objects* are what draws it, and what that refers to as `/I`."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>"
    return document(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, *objects)


def half(colour: str, width: int, height: int) -> tuple[float, float, str]:
    """A page whose left half has a colour."""
    return width, height, f"{colour} 0 0 {width / 2} {height} re f"


DOCUMENT = pdf(half(RED, 80, 40), half(BLUE, 80, 40), half(BLUE, 40, 20))
PLACES = st.integers(0, len(DOCUMENT) - 1)


class PageTests(EffectCase):
    def test_its_first_bytes_tell(self) -> None:
        self.assertEqual(detect_format(DOCUMENT), "pdf")
        self.assertIsNone(detect_format(b"a %PDF-1.4"))

    def test_the_first_page_is_drawn_on_white_a_point_a_pixel(self) -> None:
        got = pixels(DOCUMENT, "f:png")
        self.assertEqual(got.shape, (40, 80, 4))
        self.assert_near(got[:, :39], np.broadcast_to([255, 0, 0, 255], (40, 39, 4)))
        self.assert_near(got[:, 41:], np.broadcast_to(WHITE, (40, 39, 4)))

    def test_it_is_sharp_in_any_size(self) -> None:
        for option, size in (("w:800", (800, 400)), ("w:40", (40, 20)), ("dpr:3", (240, 120)), ("z:2", (160, 80))):
            got = pixels(DOCUMENT, option)
            width = size[0]
            self.assertEqual(got.shape[1::-1], size, option)
            self.assert_near(got[:, width // 2 - 1], np.broadcast_to([255, 0, 0, 255], (size[1], 4)))
            self.assert_near(got[:, width // 2 + 1], np.broadcast_to(WHITE, (size[1], 4)))

    def test_pages_may_be_drawn_on_nothing(self) -> None:
        clear = ProcessingSettings(pdf_no_background=True)

        def seen(**options: Any) -> Any:
            body = process(DOCUMENT, ProcessingOptions(**options), clear).body
            return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"), float)

        for width, scale in ((0, 1), (400, 5), (40, 0.5)):
            got = seen(width=width)
            middle = int(40 * scale)
            self.assertEqual(got.shape[:2], (40 * scale, 80 * scale))
            self.assert_near(got[5, : middle - 1], np.broadcast_to([255, 0, 0, 255], (middle - 1, 4)))
            self.assertEqual(got[:, middle + 1 :, 3].max(), 0)
        self.assert_near(seen(format="jpeg")[20, 60], WHITE)
        stacked = seen(page=1, pages=2)
        self.assertEqual(stacked.shape, (60, 80, 4))
        self.assertEqual(stacked[50, :, 3].tolist(), [255] * 20 + [0] * 60)
        wanted = InfoOptions(alpha=True, check_transparency=True)
        info = [describe(DOCUMENT, wanted, each) for each in (clear, ProcessingSettings())]
        self.assertEqual([(each["alpha"], each["transparency"]) for each in info], [(True, True), (False, False)])

    def test_it_is_cut_and_turned_like_any_picture(self) -> None:
        self.assertEqual(pixels(DOCUMENT, "rs:fill:100:100").shape, (100, 100, 4))
        self.assert_near(pixels(DOCUMENT, "rot:90")[2, 20], [255, 0, 0, 255])
        self.assert_near(pixels(DOCUMENT, "c:20:20:we")[10, 19], [255, 0, 0, 255])

    def test_a_border_is_trimmed(self) -> None:
        self.assertEqual(pixels(pdf((100, 100, f"{RED} 20 30 50 40 re f")), "t:10").shape, (40, 50, 4))

    def test_another_page_is_as_sharp_as_the_first(self) -> None:
        got = pixels(DOCUMENT, "pg:1/w:800")
        self.assertEqual(got.shape, (400, 800, 4))
        self.assert_near(got[:, 399], np.broadcast_to([0, 0, 255, 255], (400, 4)))
        self.assert_near(got[:, 401], np.broadcast_to(WHITE, (400, 4)))

    def test_a_page_beyond_the_last_is_the_last(self) -> None:
        self.assertEqual(pixels(DOCUMENT, "pg:9").shape, (20, 40, 4))

    def test_pages_come_below_one_another_on_white(self) -> None:
        got = pixels(DOCUMENT, "pgs:3")
        self.assertEqual(got.shape, (100, 80, 4))
        for (x, y), colour in (
            ((10, 10), [255, 0, 0, 255]),
            ((10, 50), [0, 0, 255, 255]),
            ((10, 90), [0, 0, 255, 255]),
            ((60, 90), WHITE),
        ):
            self.assert_near(got[y, x], colour)
        self.assertEqual(pixels(DOCUMENT, "pg:1/pgs:9/w:160").shape, (120, 160, 4))

    def test_pages_become_one_still_picture(self) -> None:
        for name in ("gif", "webp", "tiff"):
            made_of = process(DOCUMENT, ProcessingOptions(format=name, pages=2), ProcessingSettings())
            self.assertEqual((made_of.width, made_of.height), (80, 80))
            with Image.open(io.BytesIO(made_of.body)) as image:
                self.assertEqual((image.size, getattr(image, "n_frames", 1)), ((80, 80), 1), name)

    def test_without_a_format_it_becomes_a_jpeg(self) -> None:
        rendition = process(DOCUMENT, ProcessingOptions(), ProcessingSettings())
        self.assertEqual((rendition.format, rendition.source_format), ("jpeg", "pdf"))

    def test_it_is_a_watermark_too(self) -> None:
        options = ProcessingOptions(format="png", watermark=Watermark(1.0, "nowe"))
        body = process(
            flat(9, 9, 9, width=100, height=90), options, ProcessingSettings(), watermarks={"": DOCUMENT}
        ).body
        got = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"), float)
        self.assert_near(got[10, 10], [255, 0, 0])
        self.assert_near(got[80, 10], [9, 9, 9])

    def test_info_tells_its_size_and_pages(self) -> None:
        info = describe(DOCUMENT, InfoOptions(pages_number=True), ProcessingSettings())
        self.assertEqual(
            [info[name] for name in ("format", "mime_type", "width", "height", "pages_number")],
            ["pdf", "application/pdf", 80, 40, 3],
        )
        small = describe(DOCUMENT, InfoOptions(page=2, average=True), ProcessingSettings())
        self.assertEqual((small["width"], small["height"]), (40, 20))


class HostileTests(EffectCase):
    def test_a_page_too_large_to_draw_is_refused(self) -> None:
        with self.assertRaises(SourceTooLarge):
            made(pdf((14400, 14400, "")), "w:9")

    def test_a_page_over_the_operators_limit_is_drawn_smaller(self) -> None:
        rendition = made(DOCUMENT, "f:png", max_src_resolution=0.0008)
        self.assertEqual((rendition.width, rendition.height), (40, 20))

    def test_a_result_too_large_to_draw_is_refused(self) -> None:
        with self.assertRaises(ResultTooLarge):
            made(DOCUMENT, "w:90000")

    def test_many_pages_at_once_are_refused(self) -> None:
        body = pdf(*[half(RED, 4, 4)] * 101)
        with self.assertRaises(SourceTooLarge):
            made(body, "pgs:101")
        self.assertEqual(made(body, "pgs:100").height, 400)

    def test_broken_ones_are_no_images(self) -> None:
        for body in (b"%PDF-", b"%PDF-1.4\n" + bytes(500), DOCUMENT[:60], pdf()):
            with self.assertRaises(NotAnImage):
                made(body, "w:9")

    def test_a_page_that_takes_forever_is_given_up(self) -> None:
        body = pdf((3000, 3000, "q 0 0 m 3000 3000 l 5 w S Q\n" * 2_000_000))
        with (
            patch("imgforge.processing.isolation.parent._SECONDS", 1.0),
            self.assertRaisesRegex(NotAnImage, "too long"),
        ):
            made(body, "w:9")

    def test_what_unpacks_to_gigabytes_takes_them_from_nobody(self) -> None:
        lines = zlib.compress(b"0 0 m 9 9 l S\n" * 20_000_000, 9)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with self.assertRaises(NotAnImage):
            made(drawn(stream("/Filter/FlateDecode", lines)), "w:9")
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 500_000)  # kilobytes

    def test_forms_that_contain_themselves_twice_end(self) -> None:
        form = stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</I 5 0 R>>>>", b"/I Do /I Do")
        with contextlib.suppress(NotAnImage):
            made(drawn(stream("", b"/I Do"), form), "w:9")

    def test_scripts_and_actions_do_nothing(self) -> None:
        body = DOCUMENT.replace(b"/Catalog/", b"/Catalog/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>/")
        self.assert_near(pixels(body, "f:png")[5, 5], [255, 0, 0, 255])

    @settings(max_examples=25, deadline=None)
    @given(PLACES, st.binary(max_size=12), st.integers(0, 12), st.sampled_from(("f:png", "pgs:3")))
    def test_damage_raises_nothing_but_our_errors(self, at: int, noise: bytes, gone: int, options: str) -> None:
        with contextlib.suppress(ImgforgeError):
            made(DOCUMENT[:at] + noise + DOCUMENT[at + gone :], options)

    def test_without_the_extra_the_answer_names_the_format(self) -> None:
        capabilities.cache_clear()
        self.addCleanup(capabilities.cache_clear)
        hidden = patch.dict(sys.modules, {"pypdfium2": None})
        with hidden, self.assertRaisesRegex(UnsupportedFormat, "this server does not (read|write) pdf"):
            made(DOCUMENT, "w:9")
