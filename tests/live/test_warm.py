"""`imgforge warm` and imgforge itself: what the logs of one server say is in the cache of another."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgforge.urls import Signer
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Twistd, wait_for
from tests.support.service_case import ServiceCase

OLD = {"KEY": "aa" * 32, "SALT": "bb" * 32}
NEW = {"KEY": "cc" * 32, "SALT": "dd" * 32}
COMMAND = (sys.executable, "-c", "from imgforge.cli import main; main()", "warm")


def signed(path: str, pair: Mapping[str, str]) -> str:
    return Signer(bytes.fromhex(pair["KEY"]), bytes.fromhex(pair["SALT"])).sign(path)


class WarmTests(ServiceCase):
    def setUp(self) -> None:
        picture = encode(gradient(40, 30), "PNG")
        self.origin = Origin({f"/{number}.png": picture for number in range(40)})
        self.addCleanup(self.origin.close)

    def path(self, number: int) -> str:
        return f"/w:10/plain/{self.origin.url(f'/{number}.png')}"

    def serving(self, pair: Mapping[str, str], **settings: str) -> Twistd:
        usual = {"PROCESSES": "1", "CACHE_TYPE": "memory", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", **pair}
        return self.server(**usual | settings).start()

    def environment(self, pair: Mapping[str, str]) -> dict[str, str]:
        ours = {f"IMGFORGE_{name}": value for name, value in pair.items()}
        usual = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")}
        return usual | ours | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}

    def warm(self, server: Twistd, *arguments: str, pair: Mapping[str, str] = OLD) -> tuple[dict[str, Any], int]:
        command = (*COMMAND, "--base-url", f"http://127.0.0.1:{server.port}", *arguments)
        ended = subprocess.run(command, env=self.environment(pair), capture_output=True, text=True)
        self.assertNotIn("Traceback", ended.stderr)
        return json.loads(ended.stdout.splitlines()[-1]), ended.returncode

    def wait_for_requests(self, count: int) -> None:
        wait_for(lambda: len(self.origin.requests) >= count, "a few requests")

    def logged(self, pair: Mapping[str, str], form: str) -> str:
        """The log of a server that served image 0 once, image 1 twice and image 2 three times."""
        server = self.serving(pair, ACCESS_LOG=form)
        for number in range(3):
            for _ in range(number + 1):
                self.assertEqual(server.get(signed(self.path(number), pair) + "@webp?v=1").status, 403)
                self.assertEqual(server.get(signed(self.path(number) + "@webp", pair) + "?v=1").status, 200)
        self.assertEqual(server.get(f"/info{signed('/plain/' + self.origin.url('/0.png'), pair)}").status, 200)
        server.stop()
        return str(server.log)

    def test_a_new_server_has_the_images_of_the_old_ones_log(self) -> None:
        log = self.logged(OLD, "json")
        packed = Path(log + ".gz")
        packed.write_bytes(gzip.compress(Path(log).read_bytes()))
        server = self.serving(OLD)
        self.origin.requests.clear()
        report, status = self.warm(server, "--top", "2", str(packed))
        self.assertEqual((status, report["images"], report["made"], report["hits"]), (0, 6, 2, {}))
        self.assertEqual(sorted(path for path, _ in self.origin.requests), ["/1.png", "/2.png"])
        for number in (1, 2):
            reply = server.get(signed(self.path(number) + "@webp", OLD))
            self.assertEqual((reply.status, "HIT memory" in reply.headers["cache-status"]), (200, True))
        report, status = self.warm(server, log)
        self.assertEqual((status, report["made"], report["hits"]), (0, 1, {"HIT memory": 2}))

    def test_a_server_with_a_new_key_is_warmed_by_paths_that_are_signed_anew(self) -> None:
        log = self.logged(OLD, "combined")
        server = self.serving(NEW)
        report, status = self.warm(server, log, pair=NEW)
        self.assertEqual((status, report["failures"]), (1, {"403": 3}))
        report, status = self.warm(server, "--resign", log, pair=NEW)
        self.assertEqual((status, report["made"], report["failures"]), (0, 3, {}))
        reply = server.get(signed(self.path(2) + "@webp", NEW))
        self.assertIn("HIT memory", reply.headers["cache-status"])

    def test_visitors_get_what_was_warmed_in_the_format_that_their_browsers_take(self) -> None:
        path = signed(self.path(0), OLD)
        server = self.serving(OLD, ENABLE_WEBP_DETECTION="true")
        log = Path(server.scratch.name, "own.log")
        log.write_text(f'::1 - - [28/Nov/2026:12:00:00 +0000] "GET {path} HTTP/2.0" 200 1\n')
        self.assertEqual(self.warm(server, str(log))[1], 0)
        reply = server.get(path, {"Accept": "image/webp,*/*"})
        self.assertEqual((reply.headers["content-type"], "HIT" in reply.headers["cache-status"]), ("image/webp", True))

    def test_an_interrupted_run_goes_on_where_it_was(self) -> None:
        server = self.serving(OLD)
        paths = [signed(self.path(number), OLD) for number in range(40)]
        log, resume = Path(server.scratch.name, "own.log"), Path(server.scratch.name, "resume")
        log.write_text("".join(f'- - - [28/Nov/2026:12:00:00 +0000] "GET {path} HTTP/1.1" 200 1\n' for path in paths))
        arguments = ("--base-url", f"http://127.0.0.1:{server.port}", "--resume", str(resume), str(log))
        command = (*COMMAND, "--rate", "5", *arguments)  # far from done when the signal comes, on any machine
        for number in (signal.SIGINT, signal.SIGTERM):
            before = len(self.origin.requests)
            with subprocess.Popen(command, env=self.environment(OLD), stdout=-1, stderr=-1, text=True) as running:
                self.wait_for_requests(before + 4)
                running.send_signal(number)
                output, errors = running.communicate(timeout=60)
            report = json.loads(output)
            self.assertEqual((running.returncode, report["interrupted"]), (128 + number, True))
            self.assertIn("--resume", errors)
            self.assertNotIn("Traceback", errors)
        done = resume.read_text().splitlines()[1:]
        self.assertEqual(len(done), len(set(done)))
        report, status = self.warm(server, "--resume", str(resume), str(log))
        self.assertEqual((status, report["resumed"], report["requests"]), (0, len(done), 40 - len(done)))
        self.assertFalse(resume.exists())
        self.assertEqual(len({path for path, _ in self.origin.requests}), 40)

    def test_an_interrupt_while_logs_are_read_ends_it_without_a_report(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "log")
            os.mkfifo(log)
            command = (*COMMAND, "--base-url", "http://127.0.0.1:1", str(log))
            with (
                subprocess.Popen(command, env=self.environment(OLD), stdout=-1, stderr=-1, text=True) as running,
                log.open("wb"),  # when the command reads
            ):
                running.send_signal(signal.SIGINT)
                output, errors = running.communicate(timeout=60)
        self.assertEqual((running.returncode, output), (128 + signal.SIGINT, ""))
        self.assertNotIn("Traceback", errors)

    def test_a_terminal_shows_a_bar_and_standard_output_gets_json_alone(self) -> None:
        log, server = self.logged(OLD, "combined"), self.serving(OLD)
        terminal, end = pty.openpty()
        self.addCleanup(os.close, terminal)
        command = (*COMMAND, "--base-url", f"http://127.0.0.1:{server.port}", "--rate", "3", log)
        with subprocess.Popen(command, env=self.environment(OLD), stdout=subprocess.PIPE, stderr=end) as running:
            os.close(end)
            shown = b""
            while True:
                try:
                    piece = os.read(terminal, 4096)
                except OSError:  # the other end is closed
                    break
                shown += piece
            output = running.communicate(timeout=60)[0]
        self.assertEqual((running.returncode, json.loads(output)["made"]), (0, 3))
        self.assertIn(b"warming", shown)
        self.assertIn("\u2501".encode(), shown)
        self.assertIn(b"of 3", shown)
