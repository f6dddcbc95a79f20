"""Watermarks: position, opacity, tiles, other images, texts and shadows."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from imgforge.errors import BadOption
from imgforge.processing import ProcessingSettings, process
from imgforge.urls.options import OptionParser
from tests.support.effect_case import EffectCase, flat
from tests.support.images import animation

RED = flat(255, 0, 0, width=20, height=10)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def pixels(source: bytes, options: str, **watermarks: bytes) -> Any:
    parsed = OptionParser().parse(["f:png", *options.split("/")])
    named = {"": RED} | {f"http://{name}": body for name, body in watermarks.items()}
    rendition = process(source, parsed.processing, ProcessingSettings(), chained=parsed.chained, watermarks=named)
    return np.asarray(Image.open(io.BytesIO(rendition.body)).convert("RGBA"), float)


class WatermarkTests(EffectCase):
    def setUp(self) -> None:
        self.black = flat(0, 0, 0, width=100, height=80)

    def where(self, options: str, **watermarks: bytes) -> tuple[int, int, int, int]:
        """Left, top, width and height of the red area."""
        rows, columns = np.nonzero(pixels(self.black, options, **watermarks)[..., 0] > 127)
        return columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1

    def test_positions_and_offsets(self) -> None:
        for options, box in (
            ("wm:1", (40, 36, 20, 10)),
            ("wm:1:nowe:3:4", (3, 4, 20, 10)),
            ("wm:1:soea:3:4", (77, 66, 20, 10)),
            ("wm:1:no:0:0.25", (40, 20, 20, 10)),
            ("wm:1:we:-5", (0, 36, 15, 10)),
            ("wm:1:nowe:0:0:0.5", (0, 0, 50, 25)),
            ("wm:1:nowe/wms:40", (0, 0, 40, 20)),
            ("wm:1:nowe/wms:0:5", (0, 0, 10, 5)),
            ("wm:1:nowe/wmr:90", (0, 0, 10, 20)),
        ):
            self.assertEqual(self.where(options), box, options)

    def test_opacity(self) -> None:
        self.assert_near(pixels(self.black, "wm:0.5")[40, 50], [128, 0, 0, 255])

    def test_tiles_in_rows_and_as_a_chessboard(self) -> None:
        full = pixels(self.black, "wm:1:re")[..., 0]
        self.assertEqual(float(full.min()), 255)
        share = float((pixels(self.black, "wm:1:ch")[..., 0] > 127).mean())
        self.assertGreater(share, 0.4)
        self.assertLess(share, 0.6)

    def test_watermark_by_url(self) -> None:
        options = f"wm:1:nowe/wmu:{encoded('http://other')}"
        self.assertEqual(self.where(options, other=flat(255, 0, 0, width=7, height=3)), (0, 0, 7, 3))

    def test_text_watermark(self) -> None:
        markup = "<span foreground='#ff0000' size='xx-large'>imgforge</span>"
        _, _, width, height = self.where(f"wm:1:ce/wmt:{encoded(markup)}")
        self.assertGreater(width, 40)
        self.assertGreater(height, 8)
        with self.assertRaises(BadOption):
            pixels(self.black, f"wm:1/wmt:{encoded('<span>')}")

    def test_a_text_on_an_animation_is_as_opaque_as_on_a_still(self) -> None:
        black = np.zeros((80, 100, 3), np.uint8)
        moving_source = animation([black, black + 3], [100, 100], 0)
        options = "f:webp/q:100/wm:0.5:ce/wmt:" + encoded("<span foreground='white' size='xx-large'>HEI</span>")
        parsed = OptionParser().parse(options.split("/"))
        still, moving = (
            process(source, parsed.processing, ProcessingSettings(max_animation_frames=2)).body
            for source in (flat(0, 0, 0, width=100, height=80), moving_source)
        )
        peaks = [int(np.asarray(Image.open(io.BytesIO(body)).convert("L")).max()) for body in (still, moving)]
        self.assertAlmostEqual(peaks[0], peaks[1], delta=6)
        self.assertLess(peaks[1], 140)

    def test_an_enlarged_text_is_sharp(self) -> None:
        text = encoded("<span foreground='white'>HEI</span>")
        large = flat(0, 0, 0, width=600, height=400)
        for options, width in (("wm:1:ce:0:0:0.9", 540), ("wm:1:ce/wms:300:0", 300)):
            got = pixels(large, f"{options}/wmt:{text}")[..., 0]
            columns = np.nonzero(got.max(axis=0))[0]
            self.assertLessEqual(abs(int(columns[-1] - columns[0]) - width), width // 10, options)
            # Of straight letters all but the pixels along their edges are black or white.
            self.assertLess(((got > 30) & (got < 225)).mean() / (got > 127).mean(), 0.15, options)

    def test_a_shadow_darkens_the_surroundings(self) -> None:
        white = flat(255, 255, 255, width=100, height=80)
        got = pixels(white, "wm:1:ce/wmsh:4")
        self.assertLess(got[33, 50, 1], 200)
        self.assert_near(got[0, 0], [255, 255, 255, 255])
