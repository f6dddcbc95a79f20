"""What a picture is between its source and its result: no larger in memory than it has to be."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from twisted.trial.unittest import SynchronousTestCase

from imgforge.errors import ResultTooLarge
from imgforge.model import Gravity, ProcessingOptions, Trim
from imgforge.processing import ProcessingSettings, process
from tests.support.geometry import place
from tests.support.images import Pixels, decoded, encoded, oriented, smooth

LIMITED = ProcessingSettings(max_result_dimension=16384)
EDGES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")

# Prints the most bytes that libvips held at once.
MEASURED = """
from tests.processing.test_on_the_way import *
from imgforge.processing import usage
{call}
print(int(usage()["memory_highwater_bytes"]))
"""


def made(source: bytes, **options: object) -> Pixels:
    asked = ProcessingOptions(**{"format": "png", **options})  # type: ignore[arg-type]
    return decoded(process(source, asked, LIMITED).body, "RGB")


def drawing(width: int, height: int) -> bytes:
    """Its left half is red, on white."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        '<rect width="100%" height="100%" fill="white"/><rect width="50%" height="100%" fill="red"/></svg>'
    ).encode()


def megabytes_of(call: str) -> float:
    """What a fresh process needs for it."""
    run = subprocess.run([sys.executable, "-c", MEASURED.format(call=call)], capture_output=True, check=True, text=True)
    return int(run.stdout) / 1e6


class TurningTests(SynchronousTestCase):
    def test_what_is_cut_off_is_not_turned(self) -> None:
        # Between scaling and cutting there are 6000x4000 pixels: 72 MB.
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
    def test_it_is_cut_where_the_turned_picture_would_be(
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
        turned = np.rot90(upright, -angle // 90)
        turned = turned[:, ::-1] if flip_x else turned
        turned = turned[::-1] if flip_y else turned
        height, width = turned.shape[:2]
        # The minimal sizes keep the scale at one, so that cutting is all that is done.
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
        wanted = turned[top : top + inner[1], left : left + inner[0]]
        self.assertEqual(got.shape, wanted.shape)
        self.assertTrue((got == wanted).all())

    def test_smartcrop_has_bounds(self) -> None:
        smart = Gravity("sm")
        with self.assertRaises(ResultTooLarge) as caught:
            made(encoded(smooth()), width=50, height=50, min_width=40000, gravity=smart)
        self.assertIn("40000x", caught.exception.message)
        wide = encoded(smooth().repeat(4, axis=1))
        small = ProcessingSettings(max_result_dimension=40)
        asked = ProcessingOptions(resizing_type="fill", width=40, height=40, gravity=smart)
        self.assertEqual(process(wide, asked, small).width, 40)  # chosen from 240x40, which is less than the source


class DrawingTests(SynchronousTestCase):
    def test_a_huge_drawing_is_drawn_with_as_many_pixels_as_a_source_may_have(self) -> None:
        got = process(drawing(20000, 5000), ProcessingOptions(format="png"), ProcessingSettings(max_src_resolution=1.0))
        self.assertEqual((got.width, got.height), (2000, 500))

    def test_and_can_be_trimmed(self) -> None:
        small = ProcessingSettings(max_src_resolution=0.1)
        asked = ProcessingOptions(format="png", trim=Trim(10), width=30)
        got = decoded(process(drawing(40000, 40000), asked, small).body, "RGB")
        self.assertEqual(got.shape, (60, 30, 3))  # the red half, or the white one

    def test_it_is_not_drawn_larger_than_it_is_needed(self) -> None:
        # It counts as 10x10, of which 600 pixels are sixty times as many a side; of its own size that is 60000.
        call = "made(drawing(1000, 1000), max_src_resolution=0.0001, width=600)"
        self.assertLess(megabytes_of(call), 30)

    def test_its_size_does_not_blur_it(self) -> None:
        small = ProcessingSettings(max_src_resolution=0.0001)
        asked = ProcessingOptions(format="png", width=600)
        got = decoded(process(drawing(1000, 1000), asked, small).body, "RGB")
        self.assertEqual([got[300, 298].tolist(), got[300, 301].tolist()], [[255, 0, 0], [255, 255, 255]])


class RightsTests(SynchronousTestCase):
    def test_all_credits_survive_with_the_code_of_their_letters(self) -> None:
        jpeg = encoded(smooth(), "JPEG")
        datasets = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
            bytes((0x1C, 2, tag)) + len(text).to_bytes(2, "big") + text
            for tag, text in ((116, b"(c) Ada"), (80, b"Ada"), (80, b"Bob"), (120, b"a view"))
        )
        content = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(datasets).to_bytes(4, "big") + datasets + b"\0"
        first = 4 + int.from_bytes(jpeg[4:6], "big")
        segment = b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content
        source = jpeg[:first] + segment + jpeg[first:]
        for name, container in (("jpeg", b"8BIM"), ("tiff", b"\xbb\x83")):
            body = process(source, ProcessingOptions(format=name), ProcessingSettings()).body
            for kept in (container, b"(c) Ada", b"\x00\x03Ada", b"\x00\x03Bob", b"\x1b%G"):
                self.assertIn(kept, body)
            self.assertNotIn(b"a view", body)

    def test_broken_packets_are_left_out(self) -> None:
        typed = b'<!DOCTYPE a [<!ENTITY e "x">]>'
        rdf = b'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:d="http://purl.org/dc/elements/1.1/"'
        for packet, kept in (
            (b"<x", b""),
            (b"\xff\xfe\0\0", b""),
            (b"<r:RDF %s><r:Description d:title='t'/></r:RDF>" % rdf, b""),
            (b"<r:RDF %s><r:Description d:title='t' d:rights='mine'/></r:RDF>" % rdf, b"mine"),
            (typed + b"<r:RDF %s><r:Description d:rights='my&e;'/></r:RDF>" % rdf, b""),
            (typed + b"<r:RDF %s><r:Description><d:rights>my&e;</d:rights></r:Description></r:RDF>" % rdf, b""),
        ):
            source = encoded(smooth(), "WEBP", xmp=packet)
            body = process(source, ProcessingOptions(format="webp"), ProcessingSettings()).body
            self.assertEqual(b"XMP " in body, bool(kept), packet)
            self.assertIn(kept, body)
            self.assertNotIn(b"title", body)
