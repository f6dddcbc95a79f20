"""Drawn pictures are what their names say, read by Pillow instead of libvips, which drew them (bench/pictures.py)."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageSequence
from twisted.trial.unittest import SynchronousTestCase

from bench.pictures import PICTURES, scene


def _open(name: str) -> Image.Image:
    return Image.open(io.BytesIO(PICTURES[name]()))


class PictureTests(SynchronousTestCase):
    """One picture at a time."""

    def test_every_rotation_and_flip_changes_the_scene(self) -> None:
        square = scene(96, 96, grain=0).astype(int)
        rotated = [np.rot90(square, turns) for turns in range(4)]
        mirrored = [np.fliplr(picture) for picture in rotated]
        for picture in [*rotated[1:], *mirrored]:
            self.assertGreater(np.abs(picture - square).mean(), 5)

    def test_exif_orientations_are_tags_on_the_same_pixels(self) -> None:
        pictures = [_open(f"exif{orientation}.jpg") for orientation in range(1, 9)]
        self.assertEqual([picture.getexif().get(0x0112) for picture in pictures], list(range(1, 9)))
        self.assertEqual(len({picture.tobytes() for picture in pictures}), 1)

    def test_colour_modes_are_those_of_the_file_names(self) -> None:
        modes = {
            name: _open(name).mode for name in ("grey.png", "grey-alpha.png", "alpha.png", "palette.png", "cmyk.jpg")
        }
        self.assertEqual(
            modes,
            {"grey.png": "L", "grey-alpha.png": "LA", "alpha.png": "RGBA", "palette.png": "P", "cmyk.jpg": "CMYK"},
        )
        self.assertEqual(PICTURES["depth16.png"]()[24], 16)  # the bit depth in PNG's first chunk
        self.assertIsNotNone(_open("wide-gamut.jpg").info.get("icc_profile"))

    def test_animations_have_five_frames_with_distinct_delays(self) -> None:
        for name in ("animation.gif", "animation.webp"):
            durations = []
            for frame in ImageSequence.Iterator(_open(name)):
                frame.load()
                durations.append(frame.info["duration"])
            self.assertEqual(durations, [70, 80, 90, 100, 110], name)
