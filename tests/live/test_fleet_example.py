"""The example of etc/fleet: one command starts two nodes, Redis and HAProxy; a page says which node made an image."""

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

from imgforge.config import Settings
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode
from tests.support.process import ROOT, Reply, wait_for
from tests.support.store_programs import store_program

EXAMPLE = ROOT / "etc" / "fleet" / "try"
WITH_REDIS = "cache_redis_url" in Settings.fields
NODES = {"imgforge-1", "imgforge-2"}


class FleetExampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        programs = [Path(store_program(name)) for name in ("haproxy", *(("redis-server",) if WITH_REDIS else ()))]
        scratch = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(scratch.cleanup)
        self.temporary = Path(scratch.name, "temporary")
        self.temporary.mkdir()
        self.progress = Path(scratch.name, "progress")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        environment |= {"TMPDIR": str(self.temporary), "PATH": f"{programs[0].parent}:{environment['PATH']}"}
        arguments = () if WITH_REDIS else ("--without-redis",)
        with self.progress.open("wb") as progress:
            self.process = subprocess.Popen(
                (sys.executable, str(EXAMPLE), *arguments),
                env=environment,
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

    def node_of(self, path: str) -> str:
        reply = self.get(path)
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/webp"), path)
        self.assertGreater(min(decode(reply.body).size), 30, path)
        return reply.headers["x-node"]

    def processes(self) -> list[str]:
        return re.findall(r"imgforge-1 is process (\d+)", self.progress.read_text())

    def test_other_node_has_the_images_of_one_that_is_killed_and_nothing_is_left_behind(self) -> None:
        images = [unescape(path) for path in re.findall(r'src="([^"]+)"', self.get("/").body.decode())]
        self.assertGreater(len(images), 10)
        nodes = {path: self.node_of(path) for path in images}
        self.assertEqual(set(nodes.values()), NODES)
        self.assertEqual({path: self.node_of(path) for path in images}, nodes)
        self.assertEqual(self.get(f"/unsafe{images[0][images[0].index('/', 1) :]}").status, 403)
        os.kill(int(self.processes()[0]), signal.SIGKILL)
        wait_for(lambda: "imgforge-1 ended with status -9" in self.progress.read_text(), "the end of the node")
        for path in images:
            reply = self.get(path)
            self.assertEqual((reply.status, reply.headers["x-node"]), (200, "imgforge-2"))
            if WITH_REDIS and nodes[path] == "imgforge-1":
                self.assertIn("HIT redis", reply.headers["cache-status"])
        wait_for(lambda: len(self.processes()) == 2, "a node that is started again")
        self.assertEqual(self.stop(), 0, self.progress.read_text())
        self.assertEqual(list(self.temporary.iterdir()), [])
        for port in re.findall(r"127\.0\.0\.1:(\d+)", self.progress.read_text()):
            with self.assertRaises(OSError):
                http.client.HTTPConnection("127.0.0.1", int(port), timeout=1).connect()


class MissingProgramTests(SynchronousTestCase):
    def test_missing_program_is_named_with_the_place_that_says_where_it_comes_from(self) -> None:
        ended = subprocess.run(
            (sys.executable, str(EXAMPLE)),
            env={"PATH": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"\Atry: (haproxy|redis-server) is not in PATH; --help says where .*\n\Z")
