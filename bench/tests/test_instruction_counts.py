"""Expected counts and their comparison (bench/instruction_counts.py)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench.callgrind import missing_programs
from bench.instruction_counts import (
    EXPECTED,
    ExpectedCounts,
    deviations,
    differences,
    environment,
    read_counts,
    write_counts,
)


class FileTests(SynchronousTestCase):
    """instructions.toml."""

    def test_counts_that_were_written_are_read_back(self) -> None:
        counts = ExpectedCounts({"python": '3 "x"'}, {"hit": 56_500, "image: a.jpg 1x1 -> fit 1 jpg": 19_000_000})
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "counts.toml"
            write_counts(path, counts)
            self.assertEqual(read_counts(path), counts)

    def test_file_of_the_repository_expects_hits_images_and_the_engine(self) -> None:
        kinds = {name.partition(":")[0] for name in read_counts(EXPECTED).instructions}
        self.assertEqual(kinds, {"hit", "image", "engine"})

    def test_environment_has_the_facts_that_the_file_names(self) -> None:
        if missing_programs():
            raise SkipTest("valgrind is not installed")
        self.assertEqual(set(environment()), set(read_counts(EXPECTED).environment))


class ComparisonTests(SynchronousTestCase):
    """What is above and below, and in which environment."""

    def test_only_counts_beyond_the_tolerance_deviate(self) -> None:
        expected = {"a": 1000, "b": 1000, "c": 1000, "d": 1000}
        counted = {"a": 1030, "b": 1031, "c": 970, "d": 969, "new": 5}
        above, below = deviations(expected, counted, 0.03)
        self.assertEqual(above, ["b: 1,031 instructions, 3.1% more than the expected 1,000"])
        self.assertEqual(below, ["d: 969 instructions, 3.1% fewer than the expected 1,000"])

    def test_environments_differ_by_what_one_of_them_lacks_too(self) -> None:
        self.assertEqual(differences({"a": "1", "b": "2"}, {"a": "1", "b": "2"}), [])
        self.assertEqual(
            differences({"a": "1", "b": "2"}, {"a": "3", "c": "4"}),
            ["a '3' instead of '1'", "b 'unknown' instead of '2'", "c '4' instead of 'unknown'"],
        )
