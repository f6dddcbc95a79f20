"""JPEG XL, by way of the extra where libvips lacks it."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.demo import draw_sample
from imgforge.errors import ImgforgeError, NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.model import AutoQualityOptions, ProcessingOptions
from imgforge.processing import ProcessingSettings, capabilities, detect_format, process
from tests.support.effect_case import EffectCase, flat, made, pixels

BOXED = b"\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x14ftypjxl \x00\x00\x00\x00jxl "


def jxl(mode: str = "RGB", size: tuple[int, int] = (40, 30), **how: Any) -> bytes:
    import_plugin()
    buffer = io.BytesIO()
    Image.new(mode, size, (200, 100, 50, 128)[: len(mode)] if mode != "L" else 90).save(
        buffer, "JXL", **{"lossless": True, "num_threads": 0, **how}
    )
    return buffer.getvalue()


def import_plugin() -> None:
    import_module("pillow_jxl")  # registers itself with Pillow


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


class ReadingTests(EffectCase):
    def test_pixels_and_alpha_are_those_that_were_written(self) -> None:
        self.assert_near(pixels(jxl(), "f:png")[5, 5], [200, 100, 50, 255])
        self.assert_near(pixels(jxl("RGBA"), "f:png")[5, 5], [200, 100, 50, 128])
        self.assert_near(pixels(jxl("L"), "f:png")[5, 5], [90, 90, 90, 255])

    def test_containers_are_opened(self) -> None:
        bare = jxl(use_container=False)
        parts = box(b"jxlp", b"\x00\x00\x00\x00" + bare[:7]) + box(b"jxlp", b"\x80\x00\x00\x01" + bare[7:])
        long = struct.pack(">I4sQ", 1, b"jxlc", len(bare) + 16) + bare
        for body in (jxl(use_container=True), BOXED + parts, BOXED + box(b"Exif", b"x" * 9) + long):
            self.assertEqual(detect_format(body), "jxl")
            self.assert_near(pixels(body, "f:png")[5, 5], [200, 100, 50, 255])

    def test_sixteen_bits_of_grey(self) -> None:
        import_plugin()
        buffer = io.BytesIO()
        Image.fromarray(np.full((30, 40), 0x8000, np.uint16)).save(buffer, "JXL", lossless=True)
        half_the_light = pixels(buffer.getvalue(), "f:png")[5, 5]  # the plugin writes such samples as linear
        self.assert_near(half_the_light, [188, 188, 188, 255], 2)

    def test_without_a_format_it_becomes_one_of_the_usual(self) -> None:
        rendition = process(jxl(), ProcessingOptions(width=9), ProcessingSettings())
        self.assertEqual((rendition.format, rendition.source_format), ("jpeg", "jxl"))


class WritingTests(EffectCase):
    def test_what_is_written_is_read_back(self) -> None:
        for colour in ((200, 100, 50), (200, 100, 50, 128)):
            body = made(flat(*colour), "w:20/f:jxl").body
            self.assertEqual(detect_format(body), "jxl")
            self.assert_near(pixels(body, "f:png")[5, 5], [*colour[:3], 255 if len(colour) == 3 else 128], 4)

    def test_grey_stays_grey(self) -> None:
        body = made(jxl("L"), "f:jxl").body
        self.assert_near(pixels(body, "f:png")[5, 5], [90, 90, 90, 255], 3)

    def test_quality_decides_the_weight(self) -> None:
        source = noise()
        sizes = [len(made(source, f"f:jxl/q:{quality}").body) for quality in (20, 60, 95)]
        self.assertEqual(sizes, sorted(set(sizes)))

    def test_a_weight_and_a_likeness_are_kept(self) -> None:
        source = noise()
        most = len(made(source, "f:jxl/q:60").body)
        self.assertLessEqual(len(made(source, f"f:jxl/q:90/mb:{most}").body), most)
        wanted = AutoQualityOptions("dssim", 0.02, 10, 90, 0.001)
        options = ProcessingOptions(format="jxl", autoquality=wanted)
        self.assertEqual(detect_format(process(source, options, ProcessingSettings()).body), "jxl")

    def test_a_wide_profile_is_left_for_srgb(self) -> None:
        source = made(flat(0, 255, 0), "cp:p3").body
        body = made(source, "f:jxl/scp:0/q:100").body
        self.assert_near(pixels(body, "f:png")[5, 5], [0, 255, 0, 255], 4)

    def test_the_best_quality_is_lossy_still(self) -> None:
        source = draw_sample("landscape")
        best, less = (made(source, f"w:300/f:jxl/q:{quality}").body for quality in (100, 99))
        whole = np.asarray(Image.open(io.BytesIO(made(source, "w:300/f:png").body)))
        buffer = io.BytesIO()
        Image.fromarray(whole).save(buffer, "JXL", lossless=True, effort=4, num_threads=0)
        lossless = len(buffer.getvalue())
        self.assertLess(len(less), len(best))
        self.assertLess(len(best), 0.75 * lossless)
        self.assertLess(np.abs(pixels(best, "f:png")[:, :, :3].astype(int) - whole).mean(), 1)

    def test_an_animation_becomes_its_first_frame(self) -> None:
        frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
        body = made(buffer.getvalue(), "f:jxl", max_animation_frames=9).body
        got = pixels(body, "f:png")
        self.assertEqual(got.shape, (30, 40, 4))
        self.assert_near(got[5, 5], [255, 0, 0, 255], 8)


class HostileTests(EffectCase):
    def test_broken_ones_are_no_images(self) -> None:
        whole = jxl()
        for body in (
            whole[:2],
            whole[:20],
            whole[:-4],
            BOXED,
            BOXED + box(b"jxlc", b""),
            BOXED + b"\x00\x00\x00\x02jxlc",
        ):
            with self.assertRaises(NotAnImage):
                made(body, "w:9")

    def test_a_bomb_is_refused_by_its_header(self) -> None:
        # not small; height: 30 bits, 2**30; ratio 1, which is a square
        bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 1 << 33
        codestream = b"\xff\x0a" + bits.to_bytes(10, "little")
        for body in (codestream, BOXED + box(b"jxlc", codestream)):
            with self.assertRaisesRegex(SourceTooLarge, "1073741824x1073741824"):
                made(body, "w:9")

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 700), st.integers(1, 700))
    @example(256, 256)
    @example(255, 320)
    @example(16, 9)
    @example(1, 513)
    @example(9000, 1)
    def test_the_size_is_read_as_it_is_written(self, width: int, height: int) -> None:
        from imgforge.processing.codecs.jxl import _size

        self.assertEqual(_size(jxl("L", (width, height), effort=1)), (width, height))

    @settings(max_examples=200, deadline=None)
    @given(st.integers(2, 200), st.binary(min_size=1, max_size=8))
    def test_damage_raises_nothing_but_our_errors(self, at: int, noise: bytes) -> None:
        with contextlib.suppress(ImgforgeError):
            made(DAMAGED[:at] + noise + DAMAGED[at + len(noise) :], "w:9")

    def test_without_the_extra_the_answer_names_the_format(self) -> None:
        source = jxl()
        capabilities.cache_clear()
        self.addCleanup(capabilities.cache_clear)
        hidden = patch.dict(sys.modules, {"pillow_jxl": None})
        with hidden:
            for body, name in ((source, "png"), (flat(1, 2, 3), "jxl")):
                with self.assertRaisesRegex(UnsupportedFormat, "this server does not (read|write) jxl"):
                    made(body, f"f:{name}")


def noise() -> bytes:
    random = np.random.default_rng(7).integers(0, 255, (60, 80, 3))
    smooth = np.asarray(Image.fromarray(random.astype(np.uint8)).resize((320, 240)))
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "PNG")
    return buffer.getvalue()


DAMAGED = jxl(size=(64, 64), lossless=False, use_container=True)
