"""Camera raw, by way of the extra; the files are tiny DNGs written by hand."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import ImgforgeError, NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.model import InfoOptions, ProcessingOptions
from imgforge.processing import ProcessingSettings, capabilities, describe, detect_format, process
from tests.support.effect_case import EffectCase, made, pixels

BYTE, ASCII, SHORT, LONG, RATIONAL, SIGNED = 1, 2, 3, 4, 5, 10
_LAYOUTS = {BYTE: "B", ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SIGNED: "ii"}
# From XYZ to the camera's colours, which are sRGB's (IEC 61966-2-1), in parts of 10000.
_TO_SRGB = (32406, -15372, -4986, -9689, 18758, 415, 557, -2040, 10570)
Tag = tuple[int, tuple[int, ...] | bytes]


def tiff(tags: dict[int, Tag], samples: bytes = b"", order: str = "<") -> bytes:
    """A TIFF of one directory; tag 273 says where *samples* are."""
    behind = 8 + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, (kind, what) in sorted(tags.items()):
        if tag == 273:
            what = (behind + 1024,)
        layout = _LAYOUTS[kind]
        packed = bytes(what) if isinstance(what, bytes) else struct.pack(f"{order}{len(what)}{layout[0]}", *what)
        count = len(packed) // struct.calcsize(order + layout)
        entries += struct.pack(order + "HHI", tag, kind, count)
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", behind + len(values))
            values += packed.ljust(len(packed) + len(packed) % 2, b"\0")
    begin = struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", len(tags))
    return (b"II" if order == "<" else b"MM") + begin + entries + bytes(4) + values.ljust(1024, b"\0") + samples


def dng(red: int, green: int, blue: int, width: int = 64, height: int = 48, orientation: int = 1) -> bytes:
    """A grey card under coloured light, so to speak: three levels of 16 bits behind an RGGB pattern."""
    sensor = np.full((height, width), green, "<u2")
    sensor[0::2, 0::2], sensor[1::2, 1::2] = red, blue
    return tiff(
        {
            254: (LONG, (0,)),
            256: (LONG, (width,)),
            257: (LONG, (height,)),
            258: (SHORT, (16,)),
            259: (SHORT, (1,)),
            262: (SHORT, (32803,)),
            271: (ASCII, b"Nobody\0"),
            272: (ASCII, b"None\0"),
            273: (LONG, (0,)),
            274: (SHORT, (orientation,)),
            277: (SHORT, (1,)),
            278: (LONG, (height,)),
            279: (LONG, (width * height * 2,)),
            33421: (SHORT, (2, 2)),
            33422: (BYTE, bytes((0, 1, 1, 2))),
            50706: (BYTE, bytes((1, 4, 0, 0))),
            50708: (ASCII, b"Nobody None\0"),
            50717: (SHORT, (65535,)),
            50721: (SIGNED, tuple(part for one in _TO_SRGB for part in (one, 10000))),
            50728: (RATIONAL, (1, 1, 1, 1, 1, 1)),
            50778: (SHORT, (21,)),
        },
        sensor.tobytes(),
    )


GREY = dng(20000, 20000, 20000)


class DetectionTests(EffectCase):
    def test_a_dng_is_raw(self) -> None:
        self.assertEqual(detect_format(GREY), "raw")

    def test_other_cameras_files_are_raw(self) -> None:
        for order in "<>":
            for make in (b"NIKON CORPORATION\0", b"SONY\0\0\0\0"):
                body = tiff({254: (LONG, (1,)), 271: (ASCII, make), 330: (LONG, (8,))}, order=order)
                self.assertEqual(detect_format(body), "raw")
        for beginning in (
            b"II*\x00\x10\x00\x00\x00CR\x02\x00",
            b"FUJIFILMCCD-RAW 0201",
            b"IIRO\x08\x00\x00\x00",
            b"IIU\x00\x18\x00\x00\x00",
            b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom",
        ):
            self.assertEqual(detect_format(beginning + bytes(40)), "raw", beginning)

    def test_any_other_tiff_stays_one(self) -> None:
        nikon: Tag = (ASCII, b"NIKON CORPORATION\0")
        others: tuple[dict[int, Tag], ...] = (
            {254: (LONG, (0,)), 271: nikon, 330: (LONG, (8,))},
            {254: (LONG, (1,)), 271: nikon},
            {254: (LONG, (1,)), 271: (ASCII, b"Scanner\0"), 330: (LONG, (8,))},
            {254: (LONG, (1,)), 330: (LONG, (8,))},
        )
        for tags in others:
            self.assertEqual(detect_format(tiff(tags)), "tiff")
        buffer = io.BytesIO()
        Image.new("RGB", (9, 9)).save(buffer, "TIFF")
        self.assertEqual(detect_format(buffer.getvalue()), "tiff")

    @given(st.sampled_from((b"II*\x00", b"MM\x00*")), st.binary(max_size=200))
    def test_any_tiff_is_a_tiff_or_raw(self, beginning: bytes, rest: bytes) -> None:
        self.assertIn(detect_format(beginning + rest), {"tiff", "raw"})


class DevelopingTests(EffectCase):
    def test_a_grey_card_is_grey(self) -> None:
        got = pixels(GREY, "f:png")
        self.assertEqual(got.shape, (48, 64, 4))
        self.assert_near(got, np.broadcast_to(got[20, 20], got.shape), 2)

    def test_colours_keep_their_order(self) -> None:
        red, green, blue, _ = pixels(dng(40000, 20000, 5000), "f:png")[20, 20]
        self.assertGreater(red, green)
        self.assertGreater(green, blue)

    def test_it_is_resized_upright(self) -> None:
        self.assertEqual(pixels(dng(9, 9, 9, orientation=6), "w:24").shape, (32, 24, 4))

    def test_without_a_format_it_becomes_a_jpeg(self) -> None:
        rendition = process(GREY, ProcessingOptions(width=9), ProcessingSettings())
        self.assertEqual((rendition.format, rendition.source_format), ("jpeg", "raw"))

    def test_info_tells_its_size(self) -> None:
        info = describe(GREY, InfoOptions(), ProcessingSettings())
        self.assertEqual((info["format"], info["width"], info["height"]), ("raw", 64, 48))


class HostileTests(EffectCase):
    def test_truncated_ones_are_no_images(self) -> None:
        for length in (300, 1200, len(GREY) - 200):
            with self.assertRaises(NotAnImage):
                made(GREY[:length], "w:9")

    def test_too_many_pixels_are_refused_by_the_header(self) -> None:
        body = GREY.replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 20000))
        body = body.replace(struct.pack("<HHII", 257, 4, 1, 48), struct.pack("<HHII", 257, 4, 1, 20000))
        with self.assertRaises(SourceTooLarge):
            made(body, "w:9")

    @settings(max_examples=25, deadline=None)
    @given(st.integers(8, 320), st.binary(min_size=1, max_size=8))
    def test_damage_raises_nothing_but_our_errors(self, at: int, noise: bytes) -> None:
        with contextlib.suppress(ImgforgeError):
            made(GREY[:at] + noise + GREY[at + len(noise) :], "w:9")

    def test_it_may_be_switched_off(self) -> None:
        off = ProcessingSettings(enable_raw_formats=False)
        for use in (process, describe):
            wanted: Any = ProcessingOptions() if use is process else InfoOptions()
            with self.assertRaisesRegex(UnsupportedFormat, "IMGFORGE_ENABLE_RAW_FORMATS"):
                use(dng(9000, 9000, 9000), wanted, off)

    def test_without_the_extra_the_answer_names_the_format(self) -> None:
        capabilities.cache_clear()
        self.addCleanup(capabilities.cache_clear)
        hidden = patch.dict(sys.modules, {"rawpy": None})
        with hidden, self.assertRaisesRegex(UnsupportedFormat, "this server does not (read|write) raw"):
            made(GREY, "w:9")
