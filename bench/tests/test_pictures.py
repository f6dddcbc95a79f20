"""The drawn pictures are what their names say, read by Pillow rather than by the library that drew them."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence
from twisted.trial.unittest import SynchronousTestCase

from bench.comparison_grid import grid_cases
from bench.pictures import PICTURES, draw_all, scene


def _open(name: str) -> Image.Image:
    return Image.open(io.BytesIO(PICTURES[name]()))


class PictureTests(SynchronousTestCase):
    """Single pictures."""

    def test_no_turn_or_flip_leaves_the_scene_as_it_was(self) -> None:
        square = scene(96, 96, grain=0).astype(int)
        turned = [np.rot90(square, turns) for turns in range(4)]
        mirrored = [np.fliplr(picture) for picture in turned]
        for picture in [*turned[1:], *mirrored]:
            self.assertGreater(np.abs(picture - square).mean(), 5)

    def test_each_orientation_is_tagged_on_the_same_pixels(self) -> None:
        pictures = [_open(f"exif{orientation}.jpg") for orientation in range(1, 9)]
        self.assertEqual([picture.getexif().get(0x0112) for picture in pictures], list(range(1, 9)))
        self.assertEqual(len({picture.tobytes() for picture in pictures}), 1)

    def test_modes_are_those_of_their_names(self) -> None:
        modes = {
            name: _open(name).mode for name in ("grey.png", "grey-alpha.png", "alpha.png", "palette.png", "cmyk.jpg")
        }
        self.assertEqual(
            modes,
            {"grey.png": "L", "grey-alpha.png": "LA", "alpha.png": "RGBA", "palette.png": "P", "cmyk.jpg": "CMYK"},
        )
        self.assertEqual(PICTURES["depth16.png"]()[24], 16)  # the bit depth in PNG's first chunk
        self.assertIsNotNone(_open("wide-gamut.jpg").info.get("icc_profile"))

    def test_films_have_five_frames_with_their_own_delays(self) -> None:
        for name in ("animation.gif", "animation.webp"):
            durations = []
            for frame in ImageSequence.Iterator(_open(name)):
                frame.load()
                durations.append(frame.info["duration"])
            self.assertEqual(durations, [70, 80, 90, 100, 110], name)


class GridTests(SynchronousTestCase):
    """The table of URLs on them."""

    def test_every_source_of_the_grid_is_drawn_but_those_that_are_meant_to_be_missing(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            draw_all(Path(directory))
            drawn = {path.name for path in Path(directory).iterdir()}
        named = {
            case.path.rpartition("local:///")[2].partition("@")[0]
            for case in grid_cases("local:///")
            if "local:" in case.path
        }
        asked = {name for name in named if "%" not in name}
        self.assertEqual(asked - drawn, {"absent.jpg", "../photo.jpg"})
        self.assertEqual(drawn - asked, {"mark.png"})  # for the servers' own watermark

    def test_there_are_many_paths_and_none_twice(self) -> None:
        paths = [case.path for case in grid_cases("local:///")]
        self.assertGreater(len(paths), 1000)
        self.assertEqual(len(paths), len(set(paths)))
        self.assertFalse([path for path in paths if "<" in path or "{" in path or not path.startswith("/")])

    def test_a_set_in_an_option_stands_for_each_of_its_words(self) -> None:
        paths = [case.path for case in grid_cases("local:///") if case.group == "enlarge" and "small.png" in case.path]
        self.assertEqual(len(paths), 5 * 4)
        self.assertIn("/unsafe/rs:fill-down:0:77:1/plain/local:///small.png@png", paths)

    def test_photos_have_their_own_grid(self) -> None:
        cases = grid_cases("http://origin/", ["a.jpg", "b c.png"])
        self.assertEqual({case.group for case in cases}, {"photos"})
        self.assertIn("/unsafe/z:0.25/plain/http://origin/b%20c.png@webp", [case.path for case in cases])
