"""The directory that processes share: where it is, and what becomes of those that nobody removed."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from imgforge.service.supervisor.metrics_directory import MetricsDirectory


class SharedDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.place = Path(scratch.name)
        self.patch(os, "environ", {**os.environ, "RUNTIME_DIRECTORY": f"{self.place}:/elsewhere"})

    def made(self) -> MetricsDirectory:
        directory = MetricsDirectory()
        self.addCleanup(directory.remove)
        return directory

    def test_it_is_where_systemd_says_and_for_us_alone(self) -> None:
        path = Path(self.made().path)
        self.assertEqual((path.parent, stat.S_IMODE(path.stat().st_mode)), (self.place, 0o700))

    def test_without_systemd_or_where_that_fails_it_is_somewhere_else(self) -> None:
        for place in ("", "/nowhere"):
            os.environ["RUNTIME_DIRECTORY"] = place
            self.assertTrue(Path(self.made().path).is_dir())

    def test_what_a_killed_server_has_left_is_removed(self) -> None:
        left = Path(tempfile.mkdtemp(prefix="imgforge-metrics.", dir=self.place))
        left.joinpath("counter_0.db").touch()
        mine = self.made()
        self.assertEqual(list(self.place.iterdir()), [Path(mine.path)])

    def test_what_a_living_server_uses_is_left_alone(self) -> None:
        first, second = self.made(), self.made()
        self.assertEqual({path.name for path in self.place.iterdir()}, {Path(one.path).name for one in (first, second)})

    def test_what_is_no_directory_is_left_alone_and_links_lead_nowhere(self) -> None:
        target = self.place / "precious"
        target.mkdir()
        (self.place / "imgforge-metrics.link").symlink_to(target)
        (self.place / "imgforge-metrics.file").touch()
        self.made()
        self.assertEqual(len(list(self.place.iterdir())), 4)

    def test_nothing_is_left_of_one_that_is_removed(self) -> None:
        MetricsDirectory().remove()
        self.assertEqual(list(self.place.iterdir()), [])
