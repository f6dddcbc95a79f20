"""`imgforge purge` without a server; with one: test_running_server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge


class PurgeCommandTests(SynchronousTestCase):
    def test_failures_have_an_exit_status_and_no_traceback(self) -> None:
        for arguments, secret, status in (
            (("--base-url", "http://127.0.0.1:1", "--tag", "t"), "s", 1),
            (("--base-url", "nonsense", "--tag", "t"), "s", 1),
            (("--base-url", "http://127.0.0.1:1", "--tag", "t"), "", 1),
            (("--base-url", "http://127.0.0.1:1"), "s", 2),
            (("--base-url", "http://127.0.0.1:1", "--tag", "t", "--url", "/x"), "s", 2),
        ):
            result = imgforge("purge", *arguments, IMGFORGE_PURGE_SECRET=secret)
            self.assertEqual((result.returncode, "Traceback" in result.stderr), (status, False), result.stderr)
