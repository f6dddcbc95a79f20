"""The memory of a watermark is bounded by its visible part, whatever its size."""

from __future__ import annotations

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import BadOption, ResultTooLarge
from imgforge.model import ProcessingOptions, Size, Watermark
from imgforge.processing import ProcessingSettings, process
from tests.support.fresh_python import output_of
from tests.support.images import Pixels, decoded, encoded

WIDTH, HEIGHT = 200, 120
LIMITED = ProcessingSettings(max_result_dimension=16384)

# Prints the largest number of bytes that libvips held at once.
MEASURED = """
from tests.processing.stages.test_watermark_limits import *
from imgforge.processing import usage
try:
    {call}
except ResultTooLarge:
    pass
print(int(usage()["memory_highwater_bytes"]))
"""


def mark(width: int = 100, height: int = 60) -> bytes:
    """Red on its left half, blue on its right."""
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[:, : width // 2] = (255, 0, 0, 255)
    pixels[:, width // 2 :] = (0, 0, 255, 255)
    return encoded(pixels)


def marked(
    wanted: Watermark, settings: ProcessingSettings = LIMITED, mark_size: tuple[int, int] = (100, 60), **options: object
) -> Pixels:
    """A black picture with the watermark on it."""
    asked = ProcessingOptions(**{"format": "png", "watermark": wanted, **options})  # type: ignore[arg-type]
    black = encoded(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return decoded(process(black, asked, settings, watermarks={"": mark(*mark_size)}).body, "RGB")


def texted(text: str) -> Pixels:
    return marked(Watermark(opacity=1), watermark_text=text)


def megabytes_of(call: str) -> float:
    """The peak of libvips' memory in a fresh process that runs *call*."""
    return int(output_of(MEASURED.format(call=call))) / 1e6


class LargeMarkTests(SynchronousTestCase):
    def test_of_a_watermark_larger_than_the_picture_the_middle_shows(self) -> None:
        got = marked(Watermark(opacity=1, scale=20))
        for x, colour in ((20, [255, 0, 0]), (WIDTH - 20, [0, 0, 255])):
            for y in (0, HEIGHT - 1):
                self.assertEqual(got[y, x].tolist(), colour)

    def test_of_a_large_watermark_in_a_corner_its_own_corner_shows(self) -> None:
        for position, colour in (("nowe", [255, 0, 0]), ("soea", [0, 0, 255])):
            got = marked(Watermark(opacity=1, position=position, scale=4))
            self.assertTrue((got == colour).all(), position)

    def test_an_enlarged_watermark_takes_no_more_memory_than_the_picture(self) -> None:
        # Whole, it would have 12000x7200 pixels: 346 MB.
        self.assertLess(megabytes_of("marked(Watermark(opacity=1, scale=60))"), 50)

    def test_a_watermark_beyond_the_result_limit_is_rejected(self) -> None:
        with self.assertRaises(ResultTooLarge) as caught:
            marked(Watermark(opacity=1, scale=1000))
        self.assertIn("watermark", caught.exception.message)
        self.assertIn("200000x120000", caught.exception.message)
        self.assertRaises(ResultTooLarge, marked, Watermark(opacity=1), watermark_size=Size(60000, 60000))
        self.assertRaises(ResultTooLarge, marked, Watermark(opacity=1, scale=3), max_result_dimension=WIDTH)

    def test_a_watermark_in_its_own_size_may_exceed_the_result_limit(self) -> None:
        small = ProcessingSettings(max_result_dimension=WIDTH)
        got = marked(Watermark(opacity=1), small, mark_size=(2 * WIDTH, 2 * HEIGHT))
        self.assertEqual(got[5, 5].tolist(), [255, 0, 0])

    def test_a_large_watermark_can_be_rotated_and_shadowed(self) -> None:
        got = marked(Watermark(opacity=1, scale=20), watermark_rotate=90.0)
        self.assertEqual([got[5, 100, 0], got[HEIGHT - 5, 100, 2]], [255, 255])
        shaded = marked(Watermark(opacity=1), watermark_shadow=3.0)
        self.assertEqual(shaded[HEIGHT // 2, 60].tolist(), [255, 0, 0])


class GapTests(SynchronousTestCase):
    def test_gaps_beyond_the_picture_leave_one_tile_in_its_middle(self) -> None:
        got = marked(Watermark(opacity=1, position="re", x=10**9, y=10**9), mark_size=(20, 10))
        rows, columns = np.nonzero(got[..., 0] + got[..., 2])
        self.assertEqual((columns.min(), columns.max() + 1), (90, 110))
        self.assertEqual((rows.min(), rows.max() + 1), (55, 65))

    def test_a_huge_odd_gap_places_tiles_as_a_smaller_odd_one(self) -> None:
        for position in ("re", "ch"):
            near = marked(Watermark(opacity=1, position=position, x=301, y=201), mark_size=(21, 11))
            far = marked(Watermark(opacity=1, position=position, x=99_999, y=99_999), mark_size=(21, 11))
            self.assertTrue((near == far).all(), position)

    def test_wide_gaps_take_no_memory(self) -> None:
        self.assertLess(megabytes_of("marked(Watermark(opacity=1, position='ch', x=9000, y=9000))"), 50)


class TextTests(SynchronousTestCase):
    def test_markup_is_drawn(self) -> None:
        for text in (
            "imgforge",
            "<b>a &amp; b</b>",
            "<span size='40pt' foreground='#fff' letter_spacing='2048'>Ä\nb</span>",
            "<span font='serif 30' rise='-500'>px 12345</span>",
        ):
            got = texted(f"<span foreground='white'>{text}</span>")
            self.assertGreater(int(got.max()), 200, text)

    def test_a_large_text_is_rejected(self) -> None:
        lines = "\n".join(["W" * 20] * 20)
        for text in (
            f"<span size='700pt'>{lines}</span>",
            f"{'<big>' * 24}{lines}{'</big>' * 24}",
            "W" * 499 + "\n" * 500 + "W",
        ):
            self.assertRaises(ResultTooLarge, texted, text)

    def test_a_large_text_is_rejected_before_it_is_drawn(self) -> None:
        call = "texted('<span size=\"600pt\">' + chr(10).join(['W' * 20] * 20) + '</span>')"
        self.assertLess(megabytes_of(call), 150)  # it would have some 1,000

    def test_the_enlargement_of_a_text_is_bounded(self) -> None:
        call = "marked(Watermark(opacity=1, scale=80), watermark_text='W')"
        self.assertLess(megabytes_of(call), 300)  # it would have more than 400

    def test_absolute_sizes_in_markup_are_rejected(self) -> None:
        for attribute in (
            "font='sans 500px'",
            "font_desc='500 PX'",
            "size='50&#48;p&#120;'",
            "letter_spacing='900000'",
            "line_height='99999'",
            "rise='-900000'",
        ):
            with self.assertRaises(BadOption) as caught:
                texted(f"<span {attribute}>W</span>")
            self.assertIn(attribute.split("=")[0], caught.exception.message)

    def test_malformed_markup_is_rejected(self) -> None:
        for text in ("<span>", "a & b", "<no>a</no>", "&a;", "\x00", "\ud800", " <!DOCTYPE a>", "</markup><markup>"):
            self.assertRaises(BadOption, texted, text)
