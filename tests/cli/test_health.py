"""`imgforge health` without a server; with one: test_running_server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge


class HealthCommandTests(SynchronousTestCase):
    def test_failures_are_reported_in_one_line(self) -> None:
        for arguments, bind in (
            (("--url", "nonsense"), ""),
            (("--url", "http://x:999999"), ""),
            ((), "systemd:index=0"),
        ):
            result = imgforge("health", *arguments, IMGFORGE_BIND=bind, IMGFORGE_ALLOW_UNSIGNED="true")
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)
