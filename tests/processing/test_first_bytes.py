"""The first bytes of JPEG and PNG that have all fields of the header: what is read of them is what is read of all."""

from __future__ import annotations

import io
from random import Random

from PIL import Image, PngImagePlugin
from twisted.trial.unittest import SynchronousTestCase

from imgforge.model import InfoOptions
from imgforge.processing import ProcessingSettings, describe, header_comes_first, header_is_complete
from tests.support.pictures import encode, gradient

_ALL = InfoOptions(colorspace=True, bands=True, sample_format=True, pages_number=True, alpha=True)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 8
    return exif


def _jpeg(**options: object) -> bytes:
    return encode(gradient(64, 40), "JPEG", exif=_exif(), **options)


def _png(*, frames: int = 1, behind: bool = False) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "A gradient")
    chunks.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>", behind)
    chunks.add(b"eXIf", _exif().tobytes().removeprefix(b"Exif\0\0"), behind)
    buffer = io.BytesIO()
    more = [gradient(64, 40 + number).crop((0, 0, 64, 40)) for number in range(1, frames)]
    gradient(64, 40).save(buffer, "PNG", pnginfo=chunks, save_all=frames > 1, append_images=more)
    return buffer.getvalue()


class FirstBytesTests(SynchronousTestCase):
    def shortest(self, body: bytes) -> int:
        """The least number of bytes that are said to have the header."""
        return next(size for size in range(len(body) + 1) if header_is_complete(body[:size]))

    def test_each_part_with_the_header_reads_as_the_whole(self) -> None:
        for body in (
            _jpeg(),
            _jpeg(progressive=True, icc_profile=bytes(70_000), comment=b"words"),
            encode(gradient(64, 40).convert("CMYK"), "JPEG"),
            _png(),
            _png(behind=True),
            _png(frames=3),
            encode(gradient(64, 40).convert("P"), "PNG", transparency=1),
            encode(gradient(64, 40).convert("I;16"), "PNG"),
        ):
            whole = describe(body, _ALL, ProcessingSettings())
            shortest = self.shortest(body)
            for size in {*range(shortest, min(shortest + 50, len(body))), (shortest + len(body)) // 2, len(body) - 1}:
                self.assertTrue(header_is_complete(body[:size]), size)
                self.assertEqual(describe(body[:size], _ALL, ProcessingSettings(), size=len(body)), whole, size)

    def test_formats_with_fields_behind_the_pixels(self) -> None:
        for name in ("WEBP", "GIF", "TIFF", "AVIF", "BMP"):
            body = encode(gradient(64, 40), name)
            self.assertFalse(header_is_complete(body), name)
            self.assertFalse(header_comes_first(body), name)
        for body in (b"", b"words", b"<svg/>", b"%PDF-1.7"):
            self.assertFalse(header_is_complete(body) or header_comes_first(body))
        self.assertTrue(header_comes_first(_jpeg()[:20]))
        self.assertTrue(header_comes_first(_png()[:20]))

    def test_jpegs_that_the_decoder_has_to_judge(self) -> None:
        start, scan = b"\xff\xd8", b"\xff\xda\x00\x03\x00"
        self.assertTrue(header_is_complete(start + b"\xff\xff\xff\x01" + scan), "fill bytes, and a marker alone")
        for body in (
            start + b"\xff\xe0\x00\x01" + scan,  # a length of less than itself
            start + b"\xff\xe0\x00\x02garbage" + scan,
            start + b"\xff\xd9" + scan,
            start + b"\xff\xff\xff",
            start + b"\xff\xe0\xff\xff" + scan,
            start + b"\xff\xda\x00\x09\x00",
            start + b"\xff\xe0\x00\x02" * 2000 + scan,
            start + b"\xff" * 2000 + scan,
        ):
            self.assertFalse(header_is_complete(body), body[:20])

    def test_random_bytes_do_not_fail(self) -> None:
        random = Random(5)
        for start in (_jpeg(), _png()):
            for _ in range(300):
                body = bytearray(start[: random.randrange(4, len(start))])
                for _ in range(5):
                    body[random.randrange(3, len(body))] = random.randrange(256)
                header_is_complete(bytes(body))
