"""The example of etc/storage: one command starts an S3 server, imgforge and nginx; a page shows images of a bucket."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.example_case import ExampleCase
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode
from tests.support.process import ROOT, wait_for

EXAMPLE = ROOT / "etc" / "storage" / "try"
# Where .ci/stores has put programs, and where ordinary users do not find nginx.
PLACES = (str(Path(os.environ.get("IMGFORGE_TEST_STORES", os.devnull), "bin")), os.environ.get("PATH", ""), "/usr/sbin")
PATH = os.pathsep.join(PLACES)


class StorageExampleTests(ExampleCase):
    def setUp(self) -> None:
        for programs in (("nginx",), ("versitygw", "minio")):
            if not any(shutil.which(program, path=PATH) for program in programs):
                raise SkipTest(
                    f"{' or '.join(programs)} is not installed: .ci/stores DIR installs it, "
                    "IMGFORGE_TEST_STORES=DIR names where"
                )
        self.start(EXAMPLE, PATH)

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
        self.assert_nothing_is_left_behind()

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
