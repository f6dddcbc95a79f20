"""The memory of images between source and result: bounded by what the result needs."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import ResultTooLarge
from imgforge.model import Gravity, ProcessingOptions, Trim
from imgforge.processing import ProcessingSettings, process
from tests.support.fresh_python import output_of
from tests.support.geometry import place
from tests.support.images import Pixels, decoded, encoded, oriented, smooth

LIMITED = ProcessingSettings(max_result_dimension=16384)
EDGES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")

# Prints the largest number of bytes that libvips held at once.
MEASURED = """
from tests.processing.stages.test_memory import *
from imgforge.processing import usage
{call}
print(int(usage()["memory_highwater_bytes"]))
"""


def made(source: bytes, **options: object) -> Pixels:
    asked = ProcessingOptions(**{"format": "png", **options})  # type: ignore[arg-type]
    return decoded(process(source, asked, LIMITED).body, "RGB")


def drawing(width: int, height: int) -> bytes:
    """An SVG whose left half is red, on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        '<rect width="100%" height="100%" fill="white"/><rect width="50%" height="100%" fill="red"/></svg>'
    ).encode()


def megabytes_of(call: str) -> float:
    """The peak of libvips' memory in a fresh process that runs *call*."""
    return int(output_of(MEASURED.format(call=call))) / 1e6


class RotationTests(SynchronousTestCase):
    def test_cropped_pixels_are_not_rotated(self) -> None:
        # Between scaling and cropping there are 6000x4000 pixels: 72 MB.
        self.assertLess(megabytes_of("made(encoded(smooth()), width=50, height=50, min_width=6000, rotate=90)"), 30)

    @settings(deadline=None, max_examples=60)
    @given(
        st.integers(1, 8),
        st.sampled_from((0, 90, 180, 270)),
        st.booleans(),
        st.booleans(),
        st.sampled_from(EDGES),
        st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
        st.tuples(st.integers(5, 90), st.integers(5, 90)),
    )
    def test_crop_before_rotation_equals_crop_after_it(
        self,
        orientation: int,
        angle: int,
        flip_x: bool,
        flip_y: bool,
        edge: str,
        offset: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        source = oriented(smooth(), orientation, "PNG")
        upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(source))))
        rotated = np.rot90(upright, -angle // 90)
        rotated = rotated[:, ::-1] if flip_x else rotated
        rotated = rotated[::-1] if flip_y else rotated
        height, width = rotated.shape[:2]
        # The minimum sizes keep the scale at one, so that only the crop remains.
        got = made(
            source,
            width=size[0],
            height=size[1],
            min_width=width,
            min_height=height,
            rotate=angle,
            flip_horizontal=flip_x,
            flip_vertical=flip_y,
            gravity=Gravity(edge, *offset),
        )
        inner = min(size[0], width), min(size[1], height)
        left, top = place((width, height), inner, Gravity(edge, *offset))
        wanted = rotated[top : top + inner[1], left : left + inner[0]]
        self.assertEqual(got.shape, wanted.shape)
        self.assertTrue((got == wanted).all())

    def test_smartcrop_input_is_bounded(self) -> None:
        smart = Gravity("sm")
        with self.assertRaises(ResultTooLarge) as caught:
            made(encoded(smooth()), width=50, height=50, min_width=40000, gravity=smart)
        self.assertIn("40000x", caught.exception.message)
        wide = encoded(smooth().repeat(4, axis=1))
        small = ProcessingSettings(max_result_dimension=40)
        asked = ProcessingOptions(resizing_type="fill", width=40, height=40, gravity=smart)
        self.assertEqual(process(wide, asked, small).width, 40)  # cropped from 240x40, which is less than the source


class VectorTests(SynchronousTestCase):
    def test_a_huge_svg_is_drawn_at_the_source_limit(self) -> None:
        got = process(drawing(20000, 5000), ProcessingOptions(format="png"), ProcessingSettings(max_src_resolution=1.0))
        self.assertEqual((got.width, got.height), (2000, 500))

    def test_a_huge_svg_can_be_trimmed(self) -> None:
        small = ProcessingSettings(max_src_resolution=0.1)
        asked = ProcessingOptions(format="png", trim=Trim(10), width=30)
        got = decoded(process(drawing(40000, 40000), asked, small).body, "RGB")
        self.assertEqual(got.shape, (60, 30, 3))  # the red half, or the white one

    def test_an_svg_is_drawn_no_larger_than_the_result(self) -> None:
        # It counts as 10x10, which 600 pixels a side enlarge sixty times; of its own size that would be 60000.
        call = "made(drawing(1000, 1000), max_src_resolution=0.0001, width=600)"
        self.assertLess(megabytes_of(call), 30)

    def test_an_enlarged_svg_stays_sharp(self) -> None:
        small = ProcessingSettings(max_src_resolution=0.0001)
        asked = ProcessingOptions(format="png", width=600)
        got = decoded(process(drawing(1000, 1000), asked, small).body, "RGB")
        self.assertEqual([got[300, 298].tolist(), got[300, 301].tolist()], [[255, 0, 0], [255, 255, 255]])
