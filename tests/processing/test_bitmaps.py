"""BMP, ICO and PSD, by way of the extra."""

from __future__ import annotations

import io
import struct
import sys
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from imgforge.errors import NotAnImage, SourceTooLarge, UnsupportedFormat
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, detect_format, process
from tests.support.effect_case import EffectCase, flat, made, pixels, png


def saved(format_name: str, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    image = Image.new(mode, size, (200, 100, 50) if mode == "RGB" else (200, 100, 50, 128))
    buffer = io.BytesIO()
    image.save(buffer, format_name, **({"sizes": [size]} if format_name == "ICO" else {}))
    return buffer.getvalue()


def plain(length: int, alpha_mask: int, alpha: int, last: int = 255) -> bytes:
    """A BMP of two uncompressed pixels of 32 bits, with a header of *length*."""
    header = struct.pack("<IiiHHIIiiII", length, 2, 1, 1, 32, 0, 8, 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, alpha_mask)
    start = 14 + length
    return (
        b"BM"
        + struct.pack("<III", start + 8, 0, start)
        + header.ljust(length, b"\0")[:length]
        + bytes((50, 100, 200, alpha, 50, 100, 200, last))
    )


class BitmapTests(EffectCase):
    def test_they_are_read(self) -> None:
        self.assert_near(pixels(saved("BMP"), "w:20")[5, 5], [200, 100, 50, 255])
        self.assert_near(pixels(saved("ICO", "RGBA", (32, 32)), "w:16")[5, 5], [200, 100, 50, 128], 2)

    def test_they_are_written(self) -> None:
        for name in ("bmp", "ico"):
            body = made(flat(200, 100, 50), f"w:20/f:{name}").body
            self.assertEqual(detect_format(body), name)
            image: Any = Image.open(io.BytesIO(body))
            self.assertEqual((image.format, image.size), (name.upper(), (20, 15)))
            self.assert_near(np.asarray(image.convert("RGB"))[5, 5], [200, 100, 50])

    def test_the_fourth_byte_of_plain_pixels_is_alpha_unless_it_is_always_0(self) -> None:
        for header, mask in ((40, 0), (108, 0xFF000000)):
            self.assert_near(pixels(plain(header, mask, 128), "w:0")[0], [[200, 100, 50, 128], [200, 100, 50, 255]])
        for header, mask, alpha in ((108, 0, 128), (40, 0, 0)):
            source = plain(header, mask, alpha, last=alpha)
            self.assert_near(pixels(source, "w:0")[0], [[200, 100, 50, 255]] * 2)

    def test_alpha_is_written_where_its_mask_says(self) -> None:
        body = made(flat(200, 100, 50, 128), "f:bmp").body
        self.assertEqual(struct.unpack_from("<I", body, 30), (3,))  # bit fields
        self.assertEqual(struct.unpack_from("<4I", body, 54), (0xFF0000, 0xFF00, 0xFF, 0xFF000000))
        image = Image.open(io.BytesIO(body))
        self.assertEqual((image.mode, image.size), ("RGBA", (40, 30)))
        self.assert_near(np.asarray(image)[5, 5], [200, 100, 50, 128])
        corner = np.zeros((4, 3, 4), np.uint8)
        corner[0, 0] = (9, 8, 7, 255)
        self.assert_near(np.asarray(Image.open(io.BytesIO(made(png(corner), "f:bmp").body))), corner)

    def test_grey_takes_a_byte_a_pixel(self) -> None:
        body = made(png(np.full((300, 400), 90)), "f:bmp").body
        self.assertLess(len(body), 400 * 300 + 2000)
        self.assert_near(np.asarray(Image.open(io.BytesIO(body)).convert("L")), 90)

    def test_a_palette_stays_one(self) -> None:
        for colours, depth in ((2, 1), (9, 4), (200, 8)):
            source = io.BytesIO()
            bars = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8) % colours, (4, 1)), "P")
            bars.putpalette([value for index in range(colours) for value in (index, 255 - index, 7)])
            bars.save(source, "BMP")
            body = made(source.getvalue(), "w:0").body
            self.assertEqual((body[24], body[25]), (depth, 3), colours)  # IHDR's depth and colour type

    def test_icons_are_no_larger_than_256(self) -> None:
        rendition = made(flat(1, 2, 3, width=600, height=300), "f:ico")
        self.assertEqual((rendition.width, rendition.height), (256, 128))

    def test_a_bmp_without_a_format_becomes_one_of_the_usual(self) -> None:
        self.assertEqual(process(saved("BMP"), ProcessingOptions(width=9), ProcessingSettings()).format, "jpeg")

    def test_broken_ones_are_no_images(self) -> None:
        whole = saved("BMP")
        for length in (2, 20, 60, len(whole) - 40):
            with self.assertRaises(NotAnImage):
                made(whole[:length], "w:9")

    def test_a_bomb_is_refused_by_its_header(self) -> None:
        header = bytearray(saved("BMP")[:60])
        header[18:26] = struct.pack("<ii", 60000, 60000)
        with self.assertRaises((SourceTooLarge, NotAnImage)):
            made(bytes(header), "w:9")

    def test_without_the_extra_the_answer_names_the_format(self) -> None:
        from imgforge.processing import capabilities

        source = saved("BMP")
        capabilities.cache_clear()
        self.addCleanup(capabilities.cache_clear)
        hidden = patch.dict(sys.modules, {"PIL.Image": None})
        with hidden, self.assertRaisesRegex(UnsupportedFormat, "this server does not (read|write) bmp"):
            made(source, "w:9")
