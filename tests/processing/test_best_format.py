"""`best` chooses the smallest file of the formats that the picture fits and the client accepts."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from imgforge.demo import draw_sample
from imgforge.model import Color, ProcessingOptions, Rendition
from imgforge.processing import ProcessingSettings, process
from tests.support.effect_case import EffectCase, flat


def best(source: bytes, *accepted: str, **settings: float) -> Rendition:
    options = ProcessingOptions(width=300, format="best")
    return process(source, options, ProcessingSettings(**settings), accepted=accepted)  # type: ignore[arg-type]


class BestTests(EffectCase):
    def setUp(self) -> None:
        rng = np.random.default_rng(1)
        noise = rng.normal(128, 60, (200, 300, 3)).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, "PNG")
        self.photo = buffer.getvalue()

    def test_best_is_the_smallest_file(self) -> None:
        sizes = {
            name: len(process(self.photo, ProcessingOptions(width=300, format=name), ProcessingSettings()).body)
            for name in ("jpeg", "webp", "avif")
        }
        rendition = best(self.photo, "avif", "webp")
        self.assertEqual(rendition.format, min(sizes, key=lambda name: sizes[name]))
        self.assertEqual(len(rendition.body), min(sizes.values()))

    def test_modern_formats_need_a_client_that_accepts_them(self) -> None:
        self.assertEqual(best(self.photo).format, "jpeg")

    def test_simple_pictures_are_lossless(self) -> None:
        rendition = best(flat(10, 200, 30, width=300, height=200))
        exact = np.asarray(Image.open(io.BytesIO(rendition.body)).convert("RGB"))
        self.assertEqual(rendition.format, "png")
        self.assertEqual(exact[5, 5].tolist(), [10, 200, 30])

    def test_a_soft_photo_with_few_edges_is_lossy(self) -> None:
        y, x = np.mgrid[0:400, 0:600]
        rng = np.random.default_rng(2)
        soft = np.stack([x / 3, y / 2, (x + y) / 4], axis=-1) + rng.normal(0, 2, (400, 600, 1))
        buffer = io.BytesIO()
        Image.fromarray(soft.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        source = buffer.getvalue()
        sizes = {
            name: len(process(source, ProcessingOptions(width=300, format=name), ProcessingSettings()).body)
            for name in ("jpeg", "png")
        }
        self.assertGreater(sizes["png"], 4 * sizes["jpeg"])
        self.assertEqual(best(source).format, "jpeg")
        self.assertEqual(best(source, "webp").format, "webp")

    def test_a_lossless_drawing_may_be_a_little_larger(self) -> None:
        source = (
            b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">'
            b'<rect width="300" height="200" fill="#dde"/>'
            b'<circle cx="90" cy="90" r="60" fill="#d42"/><path d="M170 160 L280 170 L220 40 Z" fill="#25d"/></svg>'
        )
        sizes = {
            name: len(process(source, ProcessingOptions(width=300, format=name), ProcessingSettings()).body)
            for name in ("jpeg", "png")
        }
        self.assertLess(sizes["jpeg"], sizes["png"])  # else this would show nothing
        opaque = ProcessingOptions(width=300, format="best", background=Color(255, 255, 255))
        self.assertEqual(process(source, opaque, ProcessingSettings()).format, "png", sizes)

    def test_transparency_is_kept(self) -> None:
        rendition = best(draw_sample("logo"), "webp")
        self.assertIn(rendition.format, ("png", "webp"))
        self.assertEqual(Image.open(io.BytesIO(rendition.body)).convert("RGBA").getpixel((0, 0))[3], 0)  # type: ignore[index]

    def test_large_results_are_encoded_once(self) -> None:
        self.assertEqual(best(self.photo, "avif", best_format_max_resolution=0.001).format, "avif")
