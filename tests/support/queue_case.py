"""A queue of images to make beforehand, an origin of their originals, and `imgforge render` in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import imgforge
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Reply, Twistd, wait_for

__all__ = ["SECRET", "QueueCase"]

SECRET = "for rendering"
_COMMAND = [sys.executable, "-c", "from imgforge.cli import main; main()", "render"]


class QueueCase(SynchronousTestCase):
    """`settings` are those of all processes of a test, which share a disk cache."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)
        self.origin = Origin({f"/{n}.jpg": encode(gradient(64, 40 + n), "JPEG") for n in range(20)})
        self.addCleanup(self.origin.close)
        (self.scratch / "cache").mkdir()
        self.settings = {
            "CACHE_TYPE": "hybrid",
            "CACHE_DISK_PATH": str(self.scratch / "cache"),
            "ALLOW_UNSIGNED": "true",
            "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            "RENDER_SECRET": SECRET,
            "PRESETS": "thumb=rs:fit:16:16,card=rs:fill:24:12/f:webp",
            "PRERENDER_PRESETS": "thumb,card",
            "SOURCE_RETRIES": "0",
            "CACHE_NOT_FOUND_TTL": "0",
        }
        self.variables: dict[str, str] = {}  # of other programs' names

    def path(self, number: int, options: str = "w:20") -> str:
        return f"/unsafe/{options}/plain/{quote(self.origin.url(f'/{number}.jpg'), safe='')}"

    @property
    def asked(self) -> list[str]:
        """What the origin was asked for, in order."""
        return [path for path, _ in self.origin.requests]

    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        ours = {f"IMGFORGE_{name}": value for name, value in self.settings.items()}
        return clean | ours | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.scratch)} | self.variables

    def render(self, *arguments: str, status: int = 0, given: str = "") -> Any:
        """The JSON that `imgforge render` prints before it ends with *status*, or else its complaint."""
        done: Any
        if arguments[0] == "run":  # a program of the reactor's
            command = [*_COMMAND, *arguments]
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=120)
        else:
            ours = {name: value for name, value in self.environment().items() if name.startswith("IMGFORGE_")}
            done = imgforge("render", *arguments, given=given, **ours)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`imgforge render run` in the background, in a session of its own."""
        return self.background([*_COMMAND, "run", *arguments])

    def background(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.scratch / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log, start_new_session=True)

        def end() -> None:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()

        self.addCleanup(end)
        return process

    def server(self, **settings: str) -> Twistd:
        server = Twistd({"PROCESSES": "1", **self.settings, **settings}, environment=self.variables)
        self.addCleanup(server.clean)
        return server.start()

    def post(self, server: Twistd, path: str, document: object, **headers: str) -> Reply:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return server.get(path, {"Authorization": f"Bearer {SECRET}"} | headers, "POST", body)

    def state(self, server: Twistd, request: str) -> Any:
        """What `GET /render/<id>` says."""
        reply = server.get(f"/render/{request}", {"Authorization": f"Bearer {SECRET}"})
        self.assertEqual(reply.status, 200, reply.body)
        return json.loads(reply.body)

    def wait_until_done(self, count: int) -> None:
        """Wait until *count* images are done; an error if another one failed meanwhile."""

        def done() -> bool:
            status = self.render("status")
            self.assertEqual(status["failures"], [])
            return bool(status["done"] == count)

        wait_for(done, f"{count} images")

    def assert_cached(self, server: Twistd, *paths: str) -> None:
        """That a visitor gets *paths* from the cache, without a request to the origin."""
        asked = len(self.asked)
        for path in paths:
            reply = server.get(path)
            self.assertEqual(reply.status, 200, reply.body)
            self.assertIn("hit", reply.headers["cache-status"], path)
        self.assertEqual(len(self.asked), asked)
