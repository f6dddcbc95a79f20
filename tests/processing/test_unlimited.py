"""The limits of what an image says beside its pixels, and the operator's word that they do not count."""

from __future__ import annotations

import gzip
import struct
import zlib

from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import ImgforgeError
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from tests.support.pictures import decode, encode, gradient

AS_PNG = ProcessingOptions(width=8, format="png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    """A PNG with *chunks* before its pixels."""
    plain = encode(gradient(40, 30), "PNG")
    return plain[:33] + b"".join(chunks) + plain[33:]


def svg(inside: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">{inside}</svg>'.encode()


class UnlimitedTests(SynchronousTestCase):
    def width(self, source: bytes, **settings: bool) -> int:
        return decode(process(source, AS_PNG, ProcessingSettings(**settings)).body).size[0]  # type: ignore[arg-type]

    def test_png_of_many_chunks_and_long_texts(self) -> None:
        for source in (
            png(*(chunk(b"tEXt", b"k%d\0v" % number) for number in range(100_001))),
            png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(33 << 20)))),
        ):
            for settings in ({}, {"svg_unlimited": True}):
                self.assertRaises(ImgforgeError, self.width, source, **settings)
            self.assertEqual(self.width(source, png_unlimited=True), 8)

    def test_long_svg_and_svg_of_many_elements(self) -> None:
        red = '<rect width="40" height="30" fill="red"/>'
        for source in (svg(f"{red}<desc>{'x' * (11 << 20)}</desc>"), svg(red + "<g/>" * 100_001)):
            for settings in ({}, {"png_unlimited": True}):
                self.assertRaises(ImgforgeError, self.width, source, **settings)
            for sanitize in (True, False):
                self.assertEqual(self.width(source, svg_unlimited=True, sanitize_svg=sanitize), 8)

    def test_what_is_packed_or_deep_stays_bounded(self) -> None:
        bomb = gzip.compress(svg(f"<desc>{'x' * (11 << 20)}</desc>"))
        deep = svg("<g>" * 300 + "</g>" * 300)
        for source in (bomb, deep):
            self.assertRaises(ImgforgeError, self.width, source, svg_unlimited=True)
