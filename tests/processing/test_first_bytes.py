"""The first bytes of JPEG and PNG that have all fields of the header: what is read of them is what is read of all."""

from __future__ import annotations

import io
from random import Random

from PIL import Image, PngImagePlugin

from imgforge.processing import header_length
from tests.support.first_bytes import FirstBytesCase, has_header
from tests.support.pictures import encode, gradient

_SIZE = 1 << 20  # of the files of which there is only a beginning


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


class FirstBytesTests(FirstBytesCase):
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
            shortest = self.shortest(body)
            lengths = {*range(shortest, min(shortest + 50, len(body))), (shortest + len(body)) // 2, len(body) - 1}
            self.assertTrue(all(has_header(body[:length], len(body)) for length in lengths))
            self.assert_same(body, lengths)

    def test_formats_with_fields_behind_the_pixels(self) -> None:
        for name in ("GIF", "TIFF", "BMP"):
            body = encode(gradient(64, 40), name)
            self.assertEqual(header_length(body[:-1], len(body)), len(body), name)
        for body in (b"", b"words", b"<svg/>", b"%PDF-1.7"):
            self.assertEqual(header_length(body, _SIZE), _SIZE)
        for body in (_jpeg(), _png()):
            self.assertEqual(header_length(body[:20], len(body)), 21, "more may do")

    def test_jpegs_that_the_decoder_has_to_judge(self) -> None:
        start, scan = b"\xff\xd8", b"\xff\xda\x00\x03\x00"
        self.assertTrue(has_header(start + b"\xff\xff\xff\x01" + scan, _SIZE), "fill bytes, and a marker alone")
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
            self.assertFalse(has_header(body, _SIZE), body[:20])

    def test_random_bytes_do_not_fail(self) -> None:
        random = Random(5)
        for start in (_jpeg(), _png()):
            for _ in range(300):
                body = bytearray(start[: random.randrange(4, len(start))])
                for _ in range(5):
                    body[random.randrange(3, len(body))] = random.randrange(256)
                has_header(bytes(body), _SIZE)
