"""Limits are judged by headers and plans, before there are pixels."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage, ResultTooLarge, SourceTooLarge
from imgforge.model import Extend, Padding, ProcessingOptions, Rendition
from imgforge.processing import ProcessingSettings, process
from tests.support.images import DRAWING, animation, encoded, oriented, smooth


def promising(width: int, height: int) -> bytes:
    """The header of a PNG of that size, without its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


class LimitTests(SynchronousTestCase):
    def made(self, source: bytes, settings: ProcessingSettings | None = None, **options: Any) -> Rendition:
        return process(source, ProcessingOptions(**options), settings or ProcessingSettings())

    def test_too_many_pixels_are_refused_from_the_header(self) -> None:
        with self.assertRaises(SourceTooLarge) as caught:
            self.made(promising(8000, 7000))
        self.assertIn("8000x7000", caught.exception.message)

    def test_a_library_that_decodes_at_once_decodes_no_more_than_the_limit(self) -> None:
        """Had it decoded, the end of the file would be missed: a BMP of 54 bytes promised 90 megapixels."""
        source = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54, 0, 54, 40, 12, 7_500_000, 1, 24, 0, 0, 0, 0, 0, 0)
        with self.assertRaises(SourceTooLarge) as caught:
            self.made(source)
        self.assertEqual(caught.exception.message, "the source has more than 50 megapixels (12x7500000)")
        self.assertRaises(NotAnImage, self.made, source, max_src_resolution=100.0)

    def test_the_limit_itself_is_allowed(self) -> None:
        exact = ProcessingSettings(max_src_resolution=96 * 64 / 1e6)
        self.assertEqual(self.made(encoded(smooth()), exact).width, 96)
        less = ProcessingSettings(max_src_resolution=(96 * 64 - 1) / 1e6)
        self.assertRaises(SourceTooLarge, self.made, encoded(smooth()), less)

    def test_zero_is_no_limit(self) -> None:
        none = ProcessingSettings(max_src_resolution=0)
        self.assertRaises(NotAnImage, self.made, promising(8000, 7000), none)

    def test_the_url_may_set_its_own(self) -> None:
        self.assertRaises(SourceTooLarge, self.made, encoded(smooth()), max_src_resolution=0.001)
        strict = ProcessingSettings(max_src_resolution=0.001)
        self.assertEqual(self.made(encoded(smooth()), strict, max_src_resolution=1.0).width, 96)

    def test_all_frames_of_an_animation_count(self) -> None:
        source = animation([smooth(), 255 - smooth()] * 2 + [smooth()], [50] * 5, 0)
        pixels = 96 * 64 / 1e6
        for frames, limit, fits in ((5, 4.5, False), (5, 5, True), (4, 4.5, True), (1, 1, True)):
            settings = ProcessingSettings(max_animation_frames=frames, max_src_resolution=pixels * limit)
            if fits:
                self.assertEqual(self.made(source, settings, format="webp").width, 96)
            else:
                self.assertRaises(SourceTooLarge, self.made, source, settings, format="webp")

    def test_a_skipped_source_is_judged_too(self) -> None:
        settings = ProcessingSettings(skip_processing_formats=("png",))
        self.assertRaises(SourceTooLarge, self.made, promising(8000, 7000), settings)

    def test_a_drawing_of_too_many_pixels_is_drawn_smaller(self) -> None:
        small = ProcessingSettings(max_src_resolution=80 * 40 / 4 / 1e6)
        made = self.made(DRAWING, small, format="png")
        self.assertEqual((made.width, made.height), (40, 20))
        self.assertEqual(self.made(DRAWING, small, format="png", width=200).width, 200)

    def test_the_final_canvas_is_judged(self) -> None:
        settings = ProcessingSettings(max_result_dimension=100)
        for options in (
            {"width": 101, "height": 101, "enlarge": True},
            {"padding": Padding(0, 3, 0, 2)},
            {"padding": Padding(37, 0, 0, 0)},
            {"width": 96, "height": 101, "extend": Extend(True)},
            {"width": 50, "height": 90, "extend_aspect_ratio": Extend(True), "dpr": 2.0, "enlarge": True},
            {"min_height": 70},
            {"dpr": 1.5, "enlarge": True},
        ):
            self.assertRaises(ResultTooLarge, self.made, encoded(smooth()), settings, **options)
        for options in (
            {"padding": Padding(0, 2, 0, 2)},
            {"padding": Padding(36, 0, 0, 0)},
            {"width": 100, "height": 100, "extend": Extend(True)},
        ):
            made = self.made(encoded(smooth()), settings, **options)
            self.assertEqual(max(made.width, made.height), 100)

    def test_the_canvas_counts_in_its_final_orientation(self) -> None:
        settings = ProcessingSettings(max_result_dimension=110)
        turned = oriented(smooth(), 6)  # 64x96 as it is seen
        self.assertRaises(ResultTooLarge, self.made, turned, settings, padding=Padding(15, 0, 0, 0))
        self.assertEqual(self.made(turned, settings, padding=Padding(0, 15, 0, 15), format="png").width, 94)

    def test_a_monstrous_result_is_refused_before_pixels(self) -> None:
        settings = ProcessingSettings(max_result_dimension=5000)
        for options in ({"width": 2_000_000_000, "enlarge": True}, {"padding": Padding(1 << 30, 0, 1 << 30, 0)}):
            self.assertRaises(ResultTooLarge, self.made, promising(5000, 5000), settings, **options)

    def test_the_url_may_set_the_dimension(self) -> None:
        self.assertRaises(ResultTooLarge, self.made, encoded(smooth()), max_result_dimension=95)
        strict = ProcessingSettings(max_result_dimension=10)
        self.assertEqual(self.made(encoded(smooth()), strict, max_result_dimension=96).width, 96)
