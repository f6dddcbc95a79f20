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
from tests.processing.test_effects import EffectCase, flat, made, pixels


def saved(format_name: str, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    image = Image.new(mode, size, (200, 100, 50) if mode == "RGB" else (200, 100, 50, 128))
    buffer = io.BytesIO()
    image.save(buffer, format_name, **({"sizes": [size]} if format_name == "ICO" else {}))
    return buffer.getvalue()


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

    def test_without_the_extra_the_answer_says_what_to_install(self) -> None:
        from imgforge.processing import capabilities

        source = saved("BMP")
        capabilities.cache_clear()
        self.addCleanup(capabilities.cache_clear)
        hidden = patch.dict(sys.modules, {"PIL.Image": None})
        with hidden, self.assertRaisesRegex(UnsupportedFormat, r"imgforge\[formats\]"):
            made(source, "w:9")
