"""Animations that libvips reads as stills: APNG and AVIF sequences, by Pillow."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from typing import Any
from unittest.mock import patch

import numpy as np
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import ImgforgeError, NotAnImage, SourceTooLarge
from imgforge.model import InfoOptions, Rendition
from imgforge.processing import ProcessingSettings, describe
from tests.support.colour_profiles import p3_as_srgb
from tests.support.effect_case import EffectCase, made, png

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
DELAYS = [100, 200, 300]


def animation(format_name: str, size: tuple[int, int] = (48, 32), colours: Any = COLOURS, **how: Any) -> bytes:
    frames = [Image.new("RGB", size, colour) for colour in colours]
    buffer = io.BytesIO()
    frames[0].save(buffer, format_name, save_all=True, append_images=frames[1:], duration=DELAYS, **how)
    return buffer.getvalue()


def animated(source: bytes, options: str, **settings: Any) -> Rendition:
    return made(source, options, **{"max_animation_frames": 99, **settings})


def frames_of(body: bytes) -> list[Any]:
    with Image.open(io.BytesIO(body)) as image:
        frames = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGBA"), float))
    return frames


def delays_of(body: bytes) -> list[int]:
    with Image.open(io.BytesIO(body)) as image:
        delays = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            delays.append(round(image.info["duration"]))
    return delays


class FilmTests(EffectCase):
    def assert_film(self, body: bytes, size: tuple[int, int], colours: Any = COLOURS, tolerance: float = 8) -> None:
        frames = frames_of(body)
        self.assertEqual([frame.shape[1::-1] for frame in frames], [size] * len(colours))
        for frame, colour in zip(frames, colours, strict=True):
            self.assert_near(frame[size[1] // 2, size[0] // 2], [*colour, 255], tolerance)

    def test_frames_and_delays_are_kept(self) -> None:
        for source in (animation("PNG"), animation("AVIF", quality=95)):
            for name in ("gif", "webp"):
                body = animated(source, f"w:24/f:{name}/q:95").body
                self.assert_film(body, (24, 16))
                self.assertEqual(delays_of(body), DELAYS)

    def test_the_loop_count_is_kept(self) -> None:
        with Image.open(io.BytesIO(animated(animation("PNG", loop=3), "f:webp").body)) as image:
            self.assertEqual(image.info["loop"], 3)

    def test_a_default_image_is_not_a_frame(self) -> None:
        source = animation("PNG", default_image=True)
        self.assert_film(animated(source, "f:gif").body, (48, 32), COLOURS[1:])
        self.assert_film(animated(source, "f:png").body, (48, 32), COLOURS[:1])

    def test_partial_frames_are_composited_over_those_before(self) -> None:
        first, second = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "red")
        second.paste("blue", (10, 10, 20, 20))
        buffer = io.BytesIO()
        first.save(buffer, "PNG", save_all=True, append_images=[second], duration=90)
        frame = frames_of(animated(buffer.getvalue(), "f:gif").body)[1]
        self.assert_near(frame[15, 15], [0, 0, 255, 255], 2)
        self.assert_near(frame[30, 30], [255, 0, 0, 255], 2)

    def test_a_format_without_animations_gets_the_first_frame(self) -> None:
        for source in (animation("PNG"), animation("AVIF", quality=95)):
            for name in ("png", "jpeg", "avif"):
                self.assert_film(animated(source, f"f:{name}/q:95").body, (48, 32), COLOURS[:1])

    def test_the_first_frame_alone_is_rendered_by_setting_or_url(self) -> None:
        source = animation("PNG")
        self.assert_film(made(source, "f:gif").body, (48, 32), COLOURS[:1])
        self.assert_film(animated(source, "f:gif/da:1").body, (48, 32), COLOURS[:1])
        self.assert_film(animated(source, "f:gif", max_animation_frames=2).body, (48, 32), COLOURS[:2])

    def test_its_profile_is_converted_to_srgb(self) -> None:
        colours = ((200, 120, 60), (90, 160, 110), (70, 90, 180))
        profile = bytes(pyvips.Operation.call("profile_load", "p3"))
        both: dict[str, dict[str, Any]] = {"PNG": {}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
        for name, how in both.items():
            source = animation(name, colours=colours, icc_profile=profile, **how)
            wanted = [tuple(p3_as_srgb(np.array([[colour]], float))[0, 0]) for colour in colours]
            self.assertGreater(wanted[0][0] - colours[0][0], 8)  # else it would show nothing
            self.assert_film(animated(source, "f:webp/webpo:lossless").body, (48, 32), wanted, 3)
            self.assert_film(animated(source, "f:webp/webpo:lossless/scp:0").body, (48, 32), colours, 3)

    def test_stills_stay_stills(self) -> None:
        for source in (png(np.full((32, 48, 3), 9)), made(png(np.full((32, 48, 3), 9)), "f:avif").body):
            self.assert_film(animated(source, "f:gif").body, (48, 32), [(9, 9, 9)])

    def test_info_counts_the_frames(self) -> None:
        for source in (animation("PNG"), animation("AVIF")):
            told = describe(source, InfoOptions(pages_number=True), ProcessingSettings())
            self.assertEqual((told["pages_number"], told["width"], told["height"]), (3, 48, 32))

    def test_without_pillow_they_are_stills(self) -> None:
        source = animation("PNG")
        with patch.dict(sys.modules, {"PIL.Image": None}):
            body = animated(source, "f:gif").body
        self.assert_film(body, (48, 32), COLOURS[:1])


def counted(source: bytes, frames: int) -> bytes:
    """An APNG that declares so many frames."""
    at = source.index(b"acTL")
    chunk = b"acTL" + struct.pack(">I", frames) + source[at + 8 : at + 12]
    return source[:at] + chunk + struct.pack(">I", zlib.crc32(chunk)) + source[at + 16 :]


APNG, AVIF = animation("PNG"), animation("AVIF")


class HostileTests(EffectCase):
    def test_more_frames_than_there_are(self) -> None:
        for frames in (4, 2**31 - 1):
            with self.assertRaises(NotAnImage):
                animated(counted(APNG, frames), "f:gif")

    def test_all_frames_count_towards_the_limit(self) -> None:
        for source in (APNG, AVIF):
            with self.assertRaises(SourceTooLarge):
                animated(source, "f:gif", max_src_resolution=0.004)
            animated(source, "f:gif", max_src_resolution=0.005)

    def test_frames_that_do_not_fit_in_memory_are_not_decoded(self) -> None:
        source = counted(APNG, 2**31 - 1)
        with self.assertRaises(SourceTooLarge):
            animated(source, "f:gif", max_src_resolution=0.0, max_animation_frames=2**31 - 1)

    def test_truncated_files_are_rejected(self) -> None:
        for source in (APNG, AVIF):
            with self.assertRaises(NotAnImage):
                animated(source[: len(source) * 3 // 4], "f:gif")

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from((APNG, AVIF)), st.integers(12, 400), st.binary(min_size=1, max_size=8))
    def test_damage_raises_nothing_but_our_errors(self, source: bytes, at: int, noise: bytes) -> None:
        with contextlib.suppress(ImgforgeError):
            animated(source[:at] + noise + source[at + len(noise) :], "f:gif", max_src_resolution=1.0)
