"""Directories of TIFF: read within bounds by all who need them, whatever the tags say of themselves."""

from __future__ import annotations

import struct
import tracemalloc
from itertools import count
from typing import Any
from unittest.mock import patch

import pyvips
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import NotAnImage
from imgforge.model import ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from imgforge.processing.codecs.formats import detect_format
from imgforge.processing.codecs.truncation import tiff_is_complete
from imgforge.processing.containers import read_tiff
from imgforge.processing.metadata import with_credits

BYTE, SHORT, LONG = 1, 3, 4
_NOTHING = 64 << 10  # bytes
# Of pixels that are not compressed, so that their strips count: 256, 257, 258, 259, 277.
PICTURE = [(256, LONG, 1, 9000), (257, LONG, 1, 9000), (258, SHORT, 1, 8), (259, SHORT, 1, 1), (277, SHORT, 1, 1)]

Row = tuple[int, int, int, int]


def directory(rows: list[Row], following: int = 0) -> bytes:
    packed = b"".join(struct.pack("<HHII", *row) for row in sorted(rows))
    return struct.pack("<H", len(rows)) + packed + struct.pack("<I", following)


def tiff(rows: list[Row], rest: bytes = b"", following: int = 0) -> bytes:
    return b"II*\0" + struct.pack("<I", 8) + directory(rows, following) + rest


def saved(**options: object) -> bytes:
    image = pyvips.Image.black(64, 48, bands=3).copy(interpretation="srgb")
    return bytes(image.tiffsave_buffer(**options))


class BoundsTests(SynchronousTestCase):
    def used(self, body: bytes, pages: int = 1) -> int:
        """The most bytes that Python has while all who read directories read *body*."""
        image = pyvips.Image.black(1, 1)
        tracemalloc.start()
        try:
            detect_format(body)
            tiff_is_complete(body, 0, pages)
            with_credits(image, body)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_tags_that_cover_the_file_cost_nothing(self) -> None:
        size = 2_900_000
        for kind, width in ((BYTE, 1), (SHORT, 2), (LONG, 4)):
            rows = [(number, kind, size // width, 8) for number in (315, 700, 33432, 34377, 50000, 50001, 50002)]
            self.assertLess(self.used(tiff([*PICTURE, *rows], bytes(size))), _NOTHING)

    def test_strips_that_cover_the_file_are_decoded_some_at_a_time(self) -> None:
        size = 4_000_000
        rows = [*PICTURE, (273, LONG, size // 4, 200), (279, LONG, size // 4, 200)]
        self.assertLess(self.used(tiff(rows, bytes(size))), 10 * _NOTHING)

    def test_all_pages_together_have_one_bound(self) -> None:
        """Each page has the same million strips, of which none holds anything."""
        size, pages = 4_000_000, 200
        rows = [*PICTURE, (273, LONG, size // 4, 100_000), (279, LONG, size // 4, 100_000)]
        length = len(directory(rows))
        chain = b"".join(directory(rows, 8 + length * (page + 1)) for page in range(pages))
        body = b"II*\0" + struct.pack("<I", 8) + chain + directory(rows)
        decoded = count()

        def values(layout: str, body: bytes, at: int) -> tuple[Any, ...]:
            next(decoded)
            return unpack(layout, body, at)

        unpack = struct.unpack_from
        with patch("struct.unpack_from", values):
            tiff_is_complete(body + b"\xff" * (size + 100_000), 0, pages)
        self.assertLess(next(decoded), 10_000)

    def test_directories_in_circles_end(self) -> None:
        for following in (8, 8 + len(directory(PICTURE))):
            body = tiff(PICTURE, directory(PICTURE, 8), following)
            read = read_tiff(body)
            assert read is not None
            self.assertLessEqual(len(list(read.directories(0, 1 << 30))), 2)
            self.assertTrue(tiff_is_complete(body, 5, 1 << 30))

    def test_directories_that_overlap_are_bounded_in_all(self) -> None:
        """Each begins some bytes behind the one before and has as many entries as there may be."""
        step, entries = 4, 4000
        body = bytearray(tiff([], bytes(step * 20_000 + 12 * entries)))
        for at in range(8, step * 20_000, step * 3):
            struct.pack_into("<H", body, at, entries)
            if at + 2 + 12 * entries + 4 <= len(body):
                struct.pack_into("<I", body, at + 2 + 12 * entries, at + step * 3)
        read = read_tiff(bytes(body))
        assert read is not None
        self.assertLess(sum(len(one) for one in read.directories(0, 1 << 30)), 1 << 17)

    def test_a_directory_of_more_entries_than_any_has_is_left_to_the_decoder(self) -> None:
        read = read_tiff(tiff([(number, SHORT, 1, 1) for number in range(5000)]))
        assert read is not None
        self.assertEqual(list(read.directories()), [])

    @given(
        st.sampled_from((b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")),
        st.sampled_from((8, 16, 3, 0xFFFFFFFF)),
        st.binary(max_size=200),
    )
    def test_nothing_raises_whatever_the_bytes_are(self, header: bytes, first: int, rest: bytes) -> None:
        order = "<" if header[:1] == b"I" else ">"
        body = header + struct.pack(order + ("Q" if len(header) == 8 else "I"), first) + rest
        self.assertIn(detect_format(body), {"tiff", "raw"})
        tiff_is_complete(body, 0, 3)
        with_credits(pyvips.Image.black(1, 1), body)


class ReadingTests(SynchronousTestCase):
    def test_values_stand_in_the_entry_or_elsewhere(self) -> None:
        body = tiff([(258, SHORT, 2, 0x00080007), (273, LONG, 3, 60), (270, 2, 5, 60)], bytes(60))
        body = body[:60] + struct.pack("<3I", 1, 2, 3) + body[72:]
        read = read_tiff(body)
        assert read is not None
        (tags,) = read.directories()
        self.assertEqual(list(read.integers(tags[258], 9)), [7, 8])
        self.assertEqual(list(read.integers(tags[273], 2)), [1, 2])
        self.assertEqual(list(read.integers(tags[270], 9)), [])  # a text
        self.assertEqual(read.bytes_of(tags[270], 4), b"\1\0\0\0")

    def test_a_big_tiff_is_read_as_any(self) -> None:
        for options in ({}, {"tile": True, "tile_width": 16, "tile_height": 16}):
            body = saved(bigtiff=True, **options)
            self.assertEqual(body[:4], b"II+\0")
            made = process(body, ProcessingOptions(format="png"), ProcessingSettings())
            self.assertEqual((made.width, made.height, made.source_format), (64, 48, "tiff"))
            self.assertTrue(tiff_is_complete(body))
        # The directory first, so that what is cut off are samples.
        body = saved(bigtiff=True)
        (at,) = struct.unpack_from("<Q", body, 8)
        moved = body[:8] + struct.pack("<Q", len(body)) + body[16:] + body[at:]
        self.assertTrue(tiff_is_complete(moved))
        short = bytearray(moved)
        read = read_tiff(moved)
        assert read is not None
        (tags,) = read.directories()
        struct.pack_into("<HHQQ", short, tags[279].row, 279, 16, 1, 10)
        struct.pack_into("<HHQQ", short, tags[273].row, 273, 16, 1, len(moved) - 10)
        self.assertFalse(tiff_is_complete(bytes(short)))
        with self.assertRaises(NotAnImage):
            process(bytes(short), ProcessingOptions(format="png"), ProcessingSettings())
