"""Options of the encoders, judged by the files that they write, and the metadata that is kept."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyvips
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import JpegOptions, PngOptions, ProcessingOptions, Rendition, WebpOptions
from imgforge.processing import FORMATS, ProcessingSettings, capabilities, process
from tests.support.images import encoded, see_through, smooth

NOISE = np.random.default_rng(3).integers(0, 256, (120, 160, 3)).astype(np.uint8)
COPYRIGHT, ARTIST, MODEL, ORIENTATION = 0x8298, 0x013B, 0x0110, 0x0112


def made(source: bytes, settings: ProcessingSettings | None = None, **options: Any) -> Rendition:
    return process(source, ProcessingOptions(**options), settings or ProcessingSettings())


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


class MaxBytesTests(SynchronousTestCase):
    def test_the_result_fits(self) -> None:
        for name in ("jpeg", "webp", "avif"):
            full = len(made(encoded(NOISE), format=name, quality=90).body)
            target = full * 2 // 3
            self.assertLessEqual(len(made(encoded(NOISE), format=name, quality=90, max_bytes=target).body), target)

    def test_what_fits_already_keeps_its_quality(self) -> None:
        plain = made(encoded(smooth()), format="jpeg")
        self.assertEqual(made(encoded(smooth()), format="jpeg", max_bytes=len(plain.body)).body, plain.body)

    def test_the_quality_falls_in_the_documented_steps(self) -> None:
        full = len(made(encoded(NOISE), format="jpeg", quality=80).body)
        target = full - 1  # hardly too large: three quarters of 80
        wanted = made(encoded(NOISE), format="jpeg", quality=60).body
        self.assertEqual(made(encoded(NOISE), format="jpeg", quality=80, max_bytes=target).body, wanted)

    def test_far_too_large_takes_larger_steps(self) -> None:
        full = len(made(encoded(NOISE), format="jpeg", quality=96).body)
        for share, quality in ((1 / 2.8, 48), (1 / 3.2, 24)):
            least = made(encoded(NOISE), format="jpeg", quality=quality).body
            target = int(full * share)
            self.assertLess(len(least), target)  # one step is enough
            self.assertEqual(made(encoded(NOISE), format="jpeg", quality=96, max_bytes=target).body, least)

    def test_an_impossible_target_ends_at_the_least_quality(self) -> None:
        body = made(encoded(NOISE), format="jpeg", quality=80, max_bytes=1).body
        self.assertEqual(body, made(encoded(NOISE), format="jpeg", quality=5).body)  # 80, 20, 5

    def test_lossless_formats_are_left_alone(self) -> None:
        self.assertEqual(made(encoded(NOISE), max_bytes=1).body, made(encoded(NOISE)).body)


class EncoderTests(SynchronousTestCase):
    def test_progressive_jpegs(self) -> None:
        for settings, url, wanted in (
            (ProcessingSettings(), JpegOptions(), False),
            (ProcessingSettings(jpeg_progressive=True), JpegOptions(), True),
            (ProcessingSettings(), JpegOptions(progressive=True), True),
            (ProcessingSettings(jpeg_progressive=True), JpegOptions(progressive=False), False),
        ):
            body = made(encoded(smooth()), settings, format="jpeg", jpeg_options=url).body
            self.assertEqual("progressive" in opened(body).info, wanted)

    def test_full_chroma(self) -> None:
        plain = made(encoded(smooth()), format="jpeg").body
        full = made(encoded(smooth()), format="jpeg", jpeg_options=JpegOptions(no_subsample=True)).body
        layers = [[one[1:3] for one in opened(body).layer] for body in (plain, full)]  # type: ignore[attr-defined]
        self.assertEqual(layers, [[(2, 2), (1, 1), (1, 1)], [(1, 1)] * 3])

    def test_interlaced_pngs(self) -> None:
        for interlaced in (False, True):
            body = made(encoded(smooth()), png_options=PngOptions(interlaced=interlaced)).body
            self.assertEqual(body[28], int(interlaced))  # IHDR's last byte

    def test_quantised_pngs(self) -> None:
        body = made(encoded(smooth()), png_options=PngOptions(quantize=True, colors=16)).body
        self.assertEqual((body[24], body[25]), (4, 3))
        self.assertLessEqual(len(opened(body).convert("RGB").getcolors(10_000) or ()), 16)

    def test_lossless_webp(self) -> None:
        body = made(encoded(NOISE), format="webp", webp_options=WebpOptions(compression="lossless")).body
        self.assertTrue((np.asarray(opened(body).convert("RGB")) == NOISE).all())
        lossy = made(encoded(NOISE), format="webp").body
        self.assertFalse((np.asarray(opened(lossy).convert("RGB")) == NOISE).all())

    def test_a_palette_gif_keeps_its_depth(self) -> None:
        bars = Image.fromarray(np.tile(np.repeat(np.arange(4, dtype=np.uint8), 10), (30, 1)), "P")
        bars.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
        output = io.BytesIO()
        bars.save(output, "GIF")
        body = made(output.getvalue(), format="gif").body
        self.assertLessEqual(1 << ((body[10] & 7) + 1), 4)
        self.assertTrue((np.asarray(opened(body).convert("RGB")) == np.asarray(bars.convert("RGB"))).all())

    def test_a_gif_has_no_more_colours_than_its_source_had_bits_for(self) -> None:
        source = io.BytesIO()
        Image.fromarray(NOISE).quantize(100).save(source, "GIF")
        body = made(source.getvalue(), format="gif", width=90).body
        self.assertEqual((body[10] & 7) + 1, 7)
        self.assertGreater(len(opened(body).convert("RGB").getcolors(1000) or ()), 64)


class MetadataTests(SynchronousTestCase):
    def source(self, file_format: str = "JPEG") -> bytes:
        exif = Image.Exif()
        exif[COPYRIGHT], exif[ARTIST], exif[MODEL], exif[ORIENTATION] = "Nobody", "A program", "None", 6
        return encoded(smooth(), file_format, exif=exif)

    def tags(self, body: bytes) -> dict[int, Any]:
        exif = opened(body).getexif()
        return {tag: exif[tag] for tag in (COPYRIGHT, ARTIST, MODEL, ORIENTATION) if tag in exif}

    def test_all_but_the_copyright_goes(self) -> None:
        for name in ("jpeg", "png", "webp"):
            tags = self.tags(made(self.source(), format=name).body)
            self.assertEqual(tags.pop(ORIENTATION, 1), 1)
            self.assertEqual(tags, {COPYRIGHT: "Nobody", ARTIST: "A program"}, name)

    def test_the_copyright_goes_too_if_it_need_not_be_kept(self) -> None:
        for name in ("jpeg", "png", "webp"):
            tags = self.tags(made(self.source(), format=name, keep_copyright=False).body)
            self.assertEqual(set(tags) & {COPYRIGHT, ARTIST, MODEL}, set(), name)

    def test_everything_stays_if_asked_for(self) -> None:
        for body in (
            made(self.source(), strip_metadata=False).body,
            made(self.source(), ProcessingSettings(strip_metadata=False)).body,
        ):
            tags = self.tags(body)
            self.assertEqual((tags[COPYRIGHT], tags[MODEL]), ("Nobody", "None"))

    def test_an_obeyed_orientation_is_not_obeyed_again(self) -> None:
        for strip in (True, False):
            body = made(self.source(), strip_metadata=strip).body
            self.assertEqual(opened(body).size, (64, 96))
            self.assertEqual(self.tags(body).get(ORIENTATION, 1), 1)

    def test_one_that_was_not_obeyed_stays_with_the_metadata(self) -> None:
        body = made(self.source(), auto_rotate=False, strip_metadata=False).body
        self.assertEqual((opened(body).size, self.tags(body)[ORIENTATION]), ((96, 64), 6))

    def test_dpi(self) -> None:
        self.assertApproximates(opened(made(self.source(), dpi=300.0).body).info["dpi"][0], 300, 1)
        self.assertApproximates(opened(made(self.source()).body).info["dpi"][0], 72, 1)


class CapabilitiesTests(SynchronousTestCase):
    def test_they_are_what_libvips_does(self) -> None:
        known = capabilities()
        self.assertEqual(known.version, ".".join(str(pyvips.version(part)) for part in range(3)))
        for name in ("jpeg", "png", "webp", "gif", "tiff", "svg"):
            self.assertIn(name, known.loads)
        self.assertNotIn("svg", known.saves)
        self.assertLessEqual({*known.loads, *known.saves}, set(FORMATS))

    def test_what_is_written_can_be_read_back(self) -> None:
        for name in set(capabilities().saves) & set(capabilities().loads):
            body = made(encoded(see_through()), format=name).body
            self.assertEqual((made(body, format="png").width, made(body, format="png").height), (96, 64), name)
