"""The directory of the metrics: its place, its lock, and the removal of those that killed servers have left."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.supervisor import MetricsDirectory


class MetricsDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.place = Path(scratch.name)
        self.patch(os, "environ", {**os.environ, "RUNTIME_DIRECTORY": f"{self.place}:/elsewhere"})

    def make_directory(self) -> MetricsDirectory:
        directory = MetricsDirectory()
        self.addCleanup(directory.remove)
        return directory

    def test_directory_is_private_and_in_systemds_runtime_directory(self) -> None:
        path = Path(self.make_directory().path)
        self.assertEqual((path.parent, stat.S_IMODE(path.stat().st_mode)), (self.place, 0o700))

    def test_directory_has_another_place_without_a_usable_runtime_directory(self) -> None:
        for place in ("", "/nowhere"):
            os.environ["RUNTIME_DIRECTORY"] = place
            self.assertTrue(Path(self.make_directory().path).is_dir())

    def test_directory_of_a_killed_server_is_removed(self) -> None:
        left = Path(tempfile.mkdtemp(prefix="imgforge-metrics.", dir=self.place))
        left.joinpath("counter_0.db").touch()
        own = self.make_directory()
        self.assertEqual(list(self.place.iterdir()), [Path(own.path)])

    def test_directory_of_a_living_server_stays(self) -> None:
        first, second = self.make_directory(), self.make_directory()
        self.assertEqual({path.name for path in self.place.iterdir()}, {Path(one.path).name for one in (first, second)})

    def test_files_and_links_are_left_alone(self) -> None:
        target = self.place / "precious"
        target.mkdir()
        (self.place / "imgforge-metrics.link").symlink_to(target)
        (self.place / "imgforge-metrics.file").touch()
        self.make_directory()
        self.assertEqual(len(list(self.place.iterdir())), 4)

    def test_removed_directory_leaves_nothing(self) -> None:
        MetricsDirectory().remove()
        self.assertEqual(list(self.place.iterdir()), [])
