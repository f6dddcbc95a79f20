"""The example of etc/storage: one command starts an S3 server, imgforge and nginx; a page shows images of a bucket."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode
from tests.support.process import ROOT, Reply, wait_for

EXAMPLE = ROOT / "etc" / "storage" / "try"
# Where .ci/stores has put programs, and where ordinary users do not find nginx.
PLACES = (str(Path(os.environ.get("IMGFORGE_TEST_STORES", os.devnull), "bin")), os.environ.get("PATH", ""), "/usr/sbin")
PATH = os.pathsep.join(PLACES)


class StorageExampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        for programs in (("nginx",), ("versitygw", "minio")):
            if not any(shutil.which(program, path=PATH) for program in programs):
                raise SkipTest(
                    f"{' or '.join(programs)} is not installed: .ci/stores DIR installs it, "
                    "IMGFORGE_TEST_STORES=DIR names where"
                )
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.temporary = Path(scratch.name, "temporary")
        self.temporary.mkdir()
        self.progress = Path(scratch.name, "progress")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("IMGFORGE_", "AWS_"))}
        with self.progress.open("wb") as progress:
            self.process = subprocess.Popen(
                (sys.executable, str(EXAMPLE)),
                env=environment | {"TMPDIR": str(self.temporary), "PATH": PATH},
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
        return [unescape(path) for path in re.findall(r'src="([^"]+)"', self.get("/").body.decode())]

    def log(self, name: str) -> str:
        return next(self.temporary.glob(f"*/{name}")).read_text()

    def test_page_shows_images_of_the_bucket_and_nothing_is_left_behind(self) -> None:
        images = self.images()
        self.assertGreater(len(images), 10)
        for path in images:
            reply = self.get(path)
            self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/webp"), path)
            self.assertEqual(reply.headers["x-cache-status"], "MISS")
            self.assertGreater(min(decode(reply.body).size), 30, path)
        for path in (images[0], f"{images[0]}?copy=1"):
            self.assertEqual(self.get(path).headers["x-cache-status"], "HIT", path)
        sources = {re.sub(".*/plain/|@webp", "", path) for path in images}
        if (self.temporary / next(iter(os.listdir(self.temporary))) / "store-access.log").is_file():
            fetched = re.findall(r"s3_GetObject (\S+) ", self.log("store-access.log"))
            # Three sizes of each, of which imgforge keeps the original.
            self.assertEqual(sorted(f"s3://images/{key}" for key in fetched), sorted(sources))
        self.assertEqual(self.stop(), 0, self.progress.read_text())
        self.assertEqual(list(self.temporary.iterdir()), [])
        for port in re.findall(r"127\.0\.0\.1:(\d+)", self.progress.read_text()):
            with self.assertRaises(OSError):
                http.client.HTTPConnection("127.0.0.1", int(port), timeout=1).connect()

    def test_unsigned_and_internal_paths_are_refused_without_a_word_about_the_store(self) -> None:
        signed = self.images()[0]
        for path, status in (
            ("/unsafe/" + signed.split("/", 2)[2], 403),
            ("/metrics", 404),
            ("/cache/purge", 404),
        ):
            reply = self.get(path)
            self.assertEqual(reply.status, status, path)
            self.assertNotIn("x-amz", str(reply.headers).lower())
            self.assertNotIn(b"s3", reply.body.lower())

    def test_example_ends_and_names_the_server_that_was_killed(self) -> None:
        # It listens before it writes that file.
        wait_for(lambda: any(file.read_text() for file in self.temporary.glob("*/imgforge.pid")), "imgforge's pid file")
        pid = int(self.log("imgforge.pid"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.process.poll() is not None, "the end of the example")
        self.assertEqual(self.process.returncode, 1)
        self.assertIn("imgforge ended with status -9", self.progress.read_text())
        self.assertEqual(list(self.temporary.iterdir()), [])


class MissingProgramTests(SynchronousTestCase):
    def test_missing_store_is_named_with_the_place_that_says_where_it_comes_from(self) -> None:
        ended = subprocess.run(
            (sys.executable, str(EXAMPLE)),
            env={"PATH": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr.count("\n"), 1)
        self.assertIn("none of versitygw, minio is in PATH; --help says where they come from", ended.stderr)
