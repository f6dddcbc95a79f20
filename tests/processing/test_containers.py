"""Headers of BMP and blocks of GIF, read within the bounds of the file."""

from __future__ import annotations

import io
import struct

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from imgforge.processing.containers import gif_is_complete, read_alpha_mask, read_bmp_header
from tests.support.images import encoded, smooth

SERVE = ProcessingSettings(truncated_images="serve")


def bmp(length: int, bits: int, pixels: bytes) -> bytes:
    """A BMP of 3 x 3 pixels whose header, of *length* bytes, says that nothing is compressed."""
    header = struct.pack("<IiiHHIIiiII", length, 3, 3, 1, bits, 0, 0, 0, 0, 0, 0).ljust(length, b"\xff")
    start = 14 + length
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + header + pixels


class BmpHeaderTests(SynchronousTestCase):
    def test_fields_are_those_of_the_file(self) -> None:
        header = read_bmp_header(bmp(40, 24, bytes(36)))
        self.assertEqual((header.start, header.height, header.bits, header.palette), (54, 3, 24, 54))
        self.assertTrue(header.is_windows)

    def test_file_that_ends_within_the_header_is_no_image(self) -> None:
        body = bmp(124, 32, b"")
        for read, end in ((read_bmp_header, 50), (read_alpha_mask, 70)):
            read(body[:end])
            for length in range(end):
                self.assertRaises(NotAnImage, read, body[:length])

    def test_smallest_file_of_os2_is_read(self) -> None:
        """One blue pixel: 14 bytes of file header, 12 of header, 3 of pixels and one of padding."""
        body = struct.pack("<2sIIIIHHHH4s", b"BM", 30, 0, 26, 12, 1, 1, 1, 24, b"\xff\0\0\0")
        self.assertEqual(len(body), 30)
        rendition = process(body, ProcessingOptions(format="png"), ProcessingSettings())
        picture = Image.open(io.BytesIO(rendition.body)).convert("RGB")
        self.assertEqual((picture.size, picture.getpixel((0, 0))), ((1, 1), (0, 0, 255)))

    def test_truncated_file_is_shown_although_it_ends_before_the_alpha_mask(self) -> None:
        rendition = process(bmp(52, 24, b"\xff"), ProcessingOptions(format="png"), SERVE)
        self.assertTrue(rendition.truncated)


class GifBlocksTests(SynchronousTestCase):
    def test_trailer_may_be_missing(self) -> None:
        body = encoded(smooth(20, 10), "GIF")
        self.assertTrue(gif_is_complete(body))
        self.assertTrue(gif_is_complete(body[:-1]))
        self.assertFalse(gif_is_complete(body[:-3]))

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read(self, body: bytes) -> None:
        self.assertIsInstance(gif_is_complete(b"GIF89a" + body), bool)
