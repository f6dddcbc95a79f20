"""The URLs that compare.py sends (bench/comparison_grid.py, bench/grid.toml)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.comparison_grid import grid_cases
from bench.pictures import draw_all


class GridTests(SynchronousTestCase):
    """The whole grid."""

    def test_every_source_is_drawn_except_those_that_must_be_missing(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            draw_all(Path(directory))
            drawn = {path.name for path in Path(directory).iterdir()}
        named = {
            case.path.rpartition("local:///")[2].partition("@")[0]
            for case in grid_cases("local:///")
            if "local:" in case.path
        }
        requested = {name for name in named if "%" not in name}
        self.assertEqual(requested - drawn, {"absent.jpg", "../photo.jpg"})
        self.assertEqual(drawn - requested, {"mark.png"})  # for the servers' own watermark

    def test_more_than_1000_paths_are_distinct_and_completely_expanded(self) -> None:
        paths = [case.path for case in grid_cases("local:///")]
        self.assertGreater(len(paths), 1000)
        self.assertEqual(len(paths), len(set(paths)))
        self.assertFalse([path for path in paths if "<" in path or "{" in path or not path.startswith("/")])

    def test_set_in_an_option_is_replaced_by_each_of_its_words(self) -> None:
        paths = [case.path for case in grid_cases("local:///") if case.group == "enlarge" and "small.png" in case.path]
        self.assertEqual(len(paths), 5 * 4)
        self.assertIn("/unsafe/rs:fill-down:0:77:1/plain/local:///small.png@png", paths)

    def test_photos_have_a_grid_of_their_own(self) -> None:
        cases = grid_cases("http://origin/", ["a.jpg", "b c.png"])
        self.assertEqual({case.group for case in cases}, {"photos"})
        self.assertIn("/unsafe/z:0.25/plain/http://origin/b%20c.png@webp", [case.path for case in cases])
