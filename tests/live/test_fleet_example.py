"""The example of etc/fleet: one command starts two nodes, Redis and HAProxy; a page says which node made an image."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.example_case import ExampleCase
from tests.support.loopback_server import DEADLINE
from tests.support.pictures import decode
from tests.support.process import ROOT, wait_for
from tests.support.store_programs import store_program

EXAMPLE = ROOT / "etc" / "fleet" / "try"
NODES = {"imgforge-1", "imgforge-2"}


class FleetExampleTests(ExampleCase):
    def setUp(self) -> None:
        programs = [Path(store_program(name)) for name in ("haproxy", "redis-server")]
        self.start(EXAMPLE, f"{programs[0].parent}:{os.environ['PATH']}")

    def node_of(self, path: str) -> str:
        reply = self.get(path)
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "image/webp"), path)
        self.assertGreater(min(decode(reply.body).size), 30, path)
        return reply.headers["x-node"]

    def processes(self) -> list[str]:
        return re.findall(r"imgforge-1 is process (\d+)", self.progress.read_text())

    def test_other_node_has_the_images_of_one_that_is_killed_and_nothing_is_left_behind(self) -> None:
        images = self.images()
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
            if nodes[path] == "imgforge-1":
                self.assertIn("HIT redis", reply.headers["cache-status"])
        wait_for(lambda: len(self.processes()) == 2, "a node that is started again")
        self.assert_nothing_is_left_behind()


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
