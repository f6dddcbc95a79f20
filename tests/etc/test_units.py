"""The units of etc/ as systemd reads them."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkers import ETC, ran

UNITS = sorted(ETC.glob("*.service"))
# What a unit may have that another one has not, or otherwise.
OWN = re.compile(
    r"(Type|NotifyAccess|Environment|EnvironmentFile|ExecStart|ExecReload|WatchdogSec|Nice|CPUWeight|IOWeight|RestartSec"
    r"|User|RuntimeDirectory|CacheDirectory|StateDirectory|WorkingDirectory)="
)


def service(text: str) -> list[str]:
    """The lines of a unit's [Service] section that say how it is confined."""
    section = text.partition("[Service]\n")[2].partition("[Install]")[0]
    return [line for line in section.splitlines() if line and line[0] != "#" and not OWN.match(line)]


class UnitTests(SynchronousTestCase):
    def test_systemd_finds_nothing_wrong(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for unit in UNITS:
                text = unit.read_text().replace("/opt/imgforge/bin/", f"{Path(sys.executable).parent}/")
                Path(scratch, unit.name).write_text(text)
            ended = ran("systemd-analyze", "verify", *(f"./{unit.name}" for unit in UNITS), cwd=Path(scratch))
            self.assertEqual((ended.returncode, ended.stdout + ended.stderr), (0, ""))
            # It does see mistakes.
            with Path(scratch, "imgforge@.service").open("a") as unit_file:
                unit_file.write("ProtectHome=perhaps\n")
            ended = ran("systemd-analyze", "verify", "./imgforge@.service", cwd=Path(scratch))
            self.assertIn("ProtectHome", ended.stdout + ended.stderr)

    def test_all_units_are_confined_alike(self) -> None:
        confined = {unit.name: service(unit.read_text()) for unit in UNITS}
        self.assertEqual(len(confined), 3)
        self.assertGreater(len(confined["imgforge.service"]), 25)
        for name, lines in confined.items():
            self.assertEqual(lines, confined["imgforge.service"], name)

    def test_a_unit_that_stops_has_the_time_that_requests_under_way_have(self) -> None:
        delay = re.search(r"IMGFORGE_SHUTDOWN_DELAY=(\d+)", (ETC / "imgforge@.service").read_text())
        stop = re.search(r"TimeoutStopSec=(\d+)", (ETC / "imgforge@.service").read_text())
        assert delay is not None
        assert stop is not None
        # graceful_stop_timeout is 60 s by default, and it takes 8 s at most to end.
        self.assertGreaterEqual(int(stop[1]), int(delay[1]) + 60 + 8)
