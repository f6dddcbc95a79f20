"""BMP with run-length encoding: every command by hand, and any bytes at all."""

from __future__ import annotations

import io
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imgforge.errors import NotAnImage
from imgforge.processing.codecs.bmp_runs import decoded
from tests.support.bitmaps import BLACK, BLUE, GREEN, GREY, PALETTE, RED, bmp
from tests.support.effect_case import EffectCase, pixels

END_OF_LINE, END = b"\0\0", b"\0\1"


def rows(runs: bytes, **how: Any) -> list[list[tuple[int, ...]]]:
    """The picture, a row after the other from the top on."""
    seen = pixels(bmp(runs, **how), "f:png")
    assert (seen[:, :, 3] == 255).all()
    return [[tuple(map(int, pixel[:3])) for pixel in row] for row in seen]


class CommandTests(EffectCase):
    def test_runs_are_drawn_from_the_bottom_up(self) -> None:
        got = rows(b"\6\1" + END_OF_LINE + b"\2\2\4\3" + END_OF_LINE + b"\6\1" + END)
        self.assertEqual(got, [[RED] * 6, [GREEN] * 2 + [BLUE] * 4, [RED] * 6])
        got = rows(b"\6\1" + END_OF_LINE + b"\6\2" + END_OF_LINE + b"\6\3" + END, height=-3)
        self.assertEqual(got, [[RED] * 6, [GREEN] * 6, [BLUE] * 6])

    def test_pixels_as_they_stand_are_padded_to_sixteen_bits(self) -> None:
        got = rows(b"\0\3\1\2\3\0" + b"\0\3\3\2\1\0" + END, height=1)
        self.assertEqual(got, [[RED, GREEN, BLUE, BLUE, GREEN, RED]])

    def test_moves_leave_black_behind(self) -> None:
        """To the right, as the file that imgproxy is tried with has it, and to a line above."""
        self.assertEqual(rows(b"\1\1\0\2\3\0\2\2" + END, height=1), [[RED, BLACK, BLACK, BLACK, GREEN, GREEN]])
        got = rows(b"\1\1\0\2\2\2\1\2" + END)
        self.assertEqual(got, [[BLACK] * 3 + [GREEN] + [BLACK] * 2, [BLACK] * 6, [RED] + [BLACK] * 5])

    def test_a_picture_may_end_before_its_last_pixel(self) -> None:
        self.assertEqual(rows(b"\2\1" + END), [[BLACK] * 6, [BLACK] * 6, [RED] * 2 + [BLACK] * 4])
        self.assertEqual(rows(b"\2\1" + END_OF_LINE + b"\1\2" + END, height=2), [
            [GREEN] + [BLACK] * 5, [RED] * 2 + [BLACK] * 4,
        ])  # fmt: skip

    def test_what_goes_beyond_its_line_is_cut_off(self) -> None:
        for long in (b"\5\1\377\2", b"\5\1\0\3\2\2\2\0", b"\5\1\0\2\377\0", b"\5\1\1\2\1\3\0\2\5\0\1\3"):
            bottom, top = rows(long + END_OF_LINE + b"\6\3" + END, height=2)[::-1]
            self.assertEqual((bottom[:5], top), ([RED] * 5, [BLUE] * 6), long)
        self.assertEqual(rows(b"\6\1\0\2\0\377\6\2" + END), [[BLACK] * 6, [BLACK] * 6, [RED] * 6])

    def test_four_bits_take_two_colours_in_turn(self) -> None:
        got = rows(b"\5\x12" + b"\1\3" + END_OF_LINE + b"\0\5\x12\x31\x20\0" + b"\1\x31" + END, height=2, bits=4)
        self.assertEqual(got, [[RED, GREEN, BLUE, RED, GREEN, BLUE], [RED, GREEN, RED, GREEN, RED, GREY]])

    def test_colours_that_the_palette_lacks_are_black(self) -> None:
        self.assertEqual(rows(b"\3\1\3\7" + END, height=1), [[RED] * 3 + [BLACK] * 3])

    def test_what_is_not_drawn_is_black_where_no_colour_is(self) -> None:
        full = tuple((index, 255, 7) for index in range(256))
        with patch("tests.support.bitmaps.PALETTE", full):
            got = rows(b"\1\x09\0\2\3\0\0\3\0\1\2\0" + END, height=1)
        self.assertEqual(got, [[full[9], BLACK, BLACK, BLACK, full[0], full[1]]])

    def test_the_end_may_be_missing_where_all_is_drawn(self) -> None:
        self.assertEqual(rows(b"\6\1", height=1), [[RED] * 6])
        for runs in (b"\6\1" + END_OF_LINE, b"\6\1\0", b"\3\1\0\4\1\1", b"\3\1\0\2\1"):
            with self.assertRaisesRegex(NotAnImage, "ends too early", msg=runs):
                rows(runs, height=2)

    def test_commands_that_draw_nothing_come_to_an_end(self) -> None:
        """Megabytes of them for a picture of a few pixels; nothing of them is worth reading."""
        for idle in (b"\0\2\0\0", b"\1\1", b"\0\3\1\1\1\0", b"\xff\1"):
            body = bmp(idle * 500_000)
            reads = Counted(body)
            self.assertFalse(decoded(reads, 6, 3).complete, idle)
            self.assertLess(reads.parts_taken, 200)

    def test_a_large_photo_is_what_pillow_reads(self) -> None:
        """Of a file that leaves nothing out both see the same."""
        picture = np.random.default_rng(5).integers(0, 4, (61, 83)).astype(np.uint8)
        runs = b""
        for line in picture[::-1]:
            stands = bytes((0, 80)) + line[:80].tobytes()
            runs += stands + b"".join(bytes((1, value)) for value in line[80:]) + END_OF_LINE
        body = bmp(runs + END, 83, 61)
        expected = np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
        self.assertTrue((pixels(body, "f:png")[:, :, :3] == expected).all())
        self.assertTrue((expected == np.array(PALETTE, np.uint8)[picture]).all())

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200), st.integers(1, 9), st.integers(-9, 9).filter(bool), st.sampled_from((4, 8)))
    @example(b"\0\2", 1, 1, 8)
    def test_any_commands_give_a_picture_of_its_size(self, runs: bytes, width: int, height: int, bits: int) -> None:
        drawing = decoded(bmp(runs, width, height, bits), width, abs(height))
        self.assertEqual((len(drawing.indexes), len(drawing.palette)), (width * abs(height), 768))


class Counted(bytes):
    """Bytes that count how often a part of them is taken."""

    parts_taken = 0

    def __getitem__(self, key: Any) -> Any:
        self.parts_taken += 1
        return super().__getitem__(key)
