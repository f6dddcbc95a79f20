"""An example of etc/ that one command starts: a program that prints the URL of its page, and ends with its servers."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.process import Reply

__all__ = ["ExampleCase"]


class ExampleCase(SynchronousTestCase):
    """`temporary` is the example's directory for temporary files, `progress` the file of its standard error."""

    def start(self, example: Path, path: str) -> None:
        """Run *example* with the programs in *path*, and wait for its page."""
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.temporary = Path(scratch.name, "temporary")
        self.temporary.mkdir()
        self.progress = Path(scratch.name, "progress")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("IMGFORGE_", "AWS_"))}
        with self.progress.open("wb") as progress:
            self.process = subprocess.Popen(
                (sys.executable, str(example)),
                env=environment | {"TMPDIR": str(self.temporary), "PATH": path},
                stdout=subprocess.PIPE,
                stderr=progress,
                text=True,
            )
        self.addCleanup(self.stop)
        assert self.process.stdout is not None
        self.addCleanup(self.process.stdout.close)
        self.page = self.process.stdout.readline().strip()
        self.assertRegex(self.page, r"\Ahttp://127\.0\.0\.1:\d+/\Z", self.progress.read_text())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(self.page).netloc, timeout=DEADLINE)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def images(self) -> list[str]:
        """The paths of the images on the page."""
        return [unescape(path) for path in re.findall(r'src="([^"]+)"', self.get("/").body.decode())]

    def assert_nothing_is_left_behind(self) -> None:
        """That it ends well when it is told to stop, with all its servers and files."""
        self.assertEqual(self.stop(), 0, self.progress.read_text())
        self.assertEqual(list(self.temporary.iterdir()), [])
        for port in re.findall(r"127\.0\.0\.1:(\d+)", self.progress.read_text()):
            with self.assertRaises(OSError):
                http.client.HTTPConnection("127.0.0.1", int(port), timeout=1).connect()
