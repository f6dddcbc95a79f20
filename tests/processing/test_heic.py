"""HEIC, by way of the extra where libvips lacks it."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from itertools import product
from typing import Any
from unittest.mock import patch

import numpy as np
import pillow_heif  # type: ignore[import-untyped,unused-ignore]
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import ImgforgeError, NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.model import InfoOptions
from imgforge.processing import ProcessingSettings, capabilities, describe, detect_format
from imgforge.processing.codecs.available_formats import _loads, _saves
from imgforge.processing.codecs.heic import SAMPLE, load
from imgforge.processing.metadata import exif_block_of, set_exif_block
from tests.support.effect_case import EffectCase, flat, made, pixels
from tests.support.images import Pixels, decoded, encoded, oriented, rotated_by_exif, see_through, smooth
from tests.support.rendition_case import alike

COPYRIGHT, MODEL = 0x8298, 0x0110
AS_IT_IS = "q:0"


def heic(picture: Pixels | None = None, mode: str = "RGB", **how: Any) -> bytes:
    picture = smooth() if picture is None else picture
    buffer = io.BytesIO()
    size = picture.shape[1], picture.shape[0]
    pillow_heif.encode(mode, size, picture.tobytes(), buffer, **{"quality": 95, "chroma": 444, **how})
    return buffer.getvalue()


def seen(body: bytes) -> Pixels:
    """As the library alone decodes it."""
    return np.asarray(pillow_heif.open_heif(body)[0].to_pillow())


def told_exif(**tags: str) -> bytes:
    exif = Image.Exif()
    exif[COPYRIGHT], exif[MODEL] = tags["copyright"], tags["model"]
    return exif.tobytes()


class ReadingTests(EffectCase):
    def test_pixels_and_alpha_are_those_that_were_written(self) -> None:
        self.assertEqual(detect_format(heic()), "heic")
        alike(decoded(made(heic(), AS_IT_IS).body), smooth(), mean=1, most=6)
        alike(decoded(made(heic(see_through(), "RGBA"), AS_IT_IS).body), see_through(), mean=1, most=8)
        grey = smooth()[:, :, 0].copy()
        alike(decoded(made(heic(grey, "L"), AS_IT_IS).body, "L"), grey, mean=1, most=6)

    def test_deep_ones_stay_deep_where_that_is_wanted(self) -> None:
        deep = smooth().astype(np.uint16) * 257
        body = heic(deep, "RGB;16")
        self.assertEqual(pyvips.Image.new_from_buffer(made(body, AS_IT_IS).body, "").format, "uchar")
        image = pyvips.Image.new_from_buffer(made(body, "ph:1").body, "")
        self.assertEqual(image.format, "ushort")
        self.assertLess(np.abs(image.numpy().astype(int) - deep).mean(), 300)
        alike(decoded(made(body, AS_IT_IS).body), smooth(), mean=1, most=6)

    def test_every_size_is_read(self) -> None:
        for size in ((1, 1), (3, 5), (65, 1), (17, 300)):
            body = heic(smooth(*size))
            self.assertEqual(pixels(body, AS_IT_IS).shape[1::-1], size)

    def test_the_container_turns_and_exif_does_not_turn_again(self) -> None:
        for orientation in range(1, 9):
            exif = Image.open(io.BytesIO(oriented(smooth(), orientation, "JPEG"))).getexif()
            body = heic(exif=exif.tobytes())
            alike(decoded(made(body, AS_IT_IS).body), rotated_by_exif(smooth(), orientation), mean=1, most=6)

    def test_a_wide_profile_is_left_for_srgb(self) -> None:
        profile = bytes(pyvips.Operation.call("profile_load", "p3"))
        green = np.full((20, 20, 3), (0, 255, 0), np.uint8)
        body = heic(green, icc_profile=profile)
        wide = Image.open(io.BytesIO(made(body, "scp:0").body))
        self.assertEqual(wide.info["icc_profile"], profile)
        self.assert_near(pixels(made(flat(0, 255, 0), "cp:p3").body, AS_IT_IS)[5, 5], [0, 255, 0, 255], 3)
        self.assertNotIn("icc_profile", Image.open(io.BytesIO(made(body, AS_IT_IS).body)).info)

    def test_metadata_is_told_kept_and_stripped(self) -> None:
        body = heic(exif=told_exif(copyright="Nobody", model="None"), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
        info = describe(body, InfoOptions(exif_canonical_names=True), ProcessingSettings())
        self.assertEqual(info["exif"], {"Copyright": "Nobody", "Model": "None"} | info["exif"])  # type: ignore[operator]
        for options, wanted in (("sm:0", {COPYRIGHT, MODEL}), ("sm:1", {COPYRIGHT}), ("sm:1/kcr:0", set())):
            exif = Image.open(io.BytesIO(made(body, f"f:jpg/{options}").body)).getexif()
            self.assertEqual({COPYRIGHT, MODEL} & exif.keys(), wanted, options)
        self.assertIn("xmp", Image.open(io.BytesIO(made(body, "f:jpg/sm:0").body)).info)

    def test_a_thumbnail_is_taken_where_there_is_one(self) -> None:
        whole = heic(see_through(), "RGBA")
        self.assertEqual(pixels(whole, "eth:1").shape, (64, 96, 4))
        with self.assertRaises(NotAnImage):
            load(whole, "heic", thumbnail=True)
        with_thumbnail = whole.replace(b"auxl", b"thmb")  # the alpha's picture, referred to as something else
        self.assertEqual(load(with_thumbnail, "heic", thumbnail=True).bands, 1)


class WritingTests(EffectCase):
    def test_what_is_written_is_read_back(self) -> None:
        body = made(encoded(smooth()), "f:heic/q:95").body
        self.assertEqual(detect_format(body), "heic")
        alike(seen(body), smooth(), mean=2, most=12)
        alike(seen(made(encoded(see_through()), "f:heic/q:95").body)[:, :, 3], see_through()[:, :, 3], mean=1, most=6)

    def test_quality_decides_the_weight_and_a_weight_is_kept(self) -> None:
        noise = encoded(np.random.default_rng(7).integers(0, 255, (120, 160, 3)).astype(np.uint8))
        sizes = [len(made(noise, f"f:heic/q:{quality}").body) for quality in (20, 60, 95)]
        self.assertEqual(sizes, sorted(set(sizes)))
        self.assertLessEqual(len(made(noise, f"f:heic/q:95/mb:{sizes[1]}").body), sizes[1])

    def test_metadata_and_profile_go_along_as_asked(self) -> None:
        exif = told_exif(copyright="Nobody", model="None")
        source = encoded(smooth(), "JPEG", exif=exif)
        for options, wanted in (("sm:0", {COPYRIGHT, MODEL}), ("sm:1", {COPYRIGHT}), ("sm:1/kcr:0", set())):
            written: Any = pillow_heif.open_heif(made(source, f"f:heic/{options}").body)[0].info.get("exif")
            read = Image.Exif()
            read.load(written or b"")
            self.assertEqual({COPYRIGHT, MODEL} & read.keys(), wanted, options)
        info = pillow_heif.open_heif(made(flat(0, 255, 0), "f:heic/cp:p3").body)[0].info
        self.assertEqual(info["icc_profile"], bytes(pyvips.Operation.call("profile_load", "p3")))

    def test_what_was_turned_is_not_turned_again_by_exif(self) -> None:
        for orientation, kind, options in product(range(1, 9), ("JPEG", "PNG", "TIFF"), ("kcr:1", "kcr:0", "sm:0")):
            source = oriented(smooth(), orientation, kind)
            got = seen(made(source, f"f:heic/q:95/{options}").body)
            alike(got, rotated_by_exif(smooth(), orientation), mean=2, most=12)

    def test_what_was_not_turned_is_turned_by_who_looks_at_it(self) -> None:
        for orientation, kind in product(range(1, 9), ("JPEG", "TIFF")):
            source = oriented(smooth(), orientation, kind)
            got = seen(made(source, "f:heic/q:95/ar:0/sm:0").body)
            alike(got, rotated_by_exif(smooth(), orientation), mean=2, most=12)
            alike(seen(made(source, "f:heic/q:95/ar:0/kcr:0").body), smooth(), mean=2, most=12)

    def test_what_was_turned_is_not_turned_again_by_xmp(self) -> None:
        xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/' tiff:Orientation=\"6\"/>"
        jpeg = encoded(smooth(), "JPEG", xmp=xmp, quality=95)
        body = made(jpeg, "f:heic/sm:0/q:95").body
        self.assertEqual(seen(body).shape, (64, 96, 3))
        self.assertNotIn(b"Orientation", pillow_heif.open_heif(body)[0].info["xmp"])

    def test_libvips_is_asked_whether_it_can(self) -> None:
        self.assertEqual(detect_format(SAMPLE), "heic")
        self.assertEqual(load(SAMPLE, "heic").width, 64)
        self.assertIn("heic", capabilities().loads)
        self.assertIn("heic", capabilities().saves)
        with contextlib.suppress(pyvips.Error):
            self.assertEqual(pyvips.Image.heifload_buffer(SAMPLE).avg() >= 0, _loads("heic"))


class ExifTests(EffectCase):
    def test_a_block_becomes_fields_and_a_block_again(self) -> None:
        image = pyvips.Image.black(3, 3).copy()
        self.assertEqual(exif_block_of(image), b"")
        set_exif_block(image, told_exif(copyright="Nobody", model="None"))
        image.remove("exif-ifd0-Model")
        read = Image.Exif()
        read.load(exif_block_of(image))
        self.assertEqual((read.get(COPYRIGHT), read.get(MODEL)), ("Nobody", None))

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=60), st.sampled_from((b"", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08")))
    def test_hostile_blocks_are_no_matter(self, block: bytes, start: bytes) -> None:
        for length in (1, 3000):
            image = pyvips.Image.black(3, 3).copy()
            set_exif_block(image, start + block * length)
            exif_block_of(image)


class HostileTests(EffectCase):
    def test_half_a_picture_is_none(self) -> None:
        whole = heic()
        for share in (0.05, 0.3, 0.6, 0.9, 0.98):
            with self.assertRaises(NotAnImage):
                made(whole[: int(len(whole) * share)], "w:9")

    def test_a_bomb_is_refused_by_its_header(self) -> None:
        at = DAMAGED.index(b"ispe") + 8
        bomb = DAMAGED[:at] + struct.pack(">II", 30_000, 30_000) + DAMAGED[at + 8 :]
        with self.assertRaises((SourceTooLarge, NotAnImage)):
            made(bomb, "w:9")

    @settings(max_examples=300, deadline=None)
    @given(st.integers(8, 700), st.binary(min_size=1, max_size=8))
    def test_damage_raises_nothing_but_our_errors(self, at: int, noise: bytes) -> None:
        with contextlib.suppress(ImgforgeError):
            made(DAMAGED[:at] + noise + DAMAGED[at + len(noise) :], "w:9")

    def test_without_the_extra_the_answer_names_the_format(self) -> None:
        source = heic()
        for cached in (capabilities, _loads, _saves):
            cached.cache_clear()
            self.addCleanup(cached.cache_clear)
        with patch.dict(sys.modules, {"pillow_heif": None}):
            if _loads("heic"):
                return
            for body, name in ((source, "png"), (flat(1, 2, 3), "heic")):
                with self.assertRaisesRegex(UnsupportedFormat, "this server does not (read|write) heic"):
                    made(body, f"f:{name}")


DAMAGED = heic(smooth(70, 50))
