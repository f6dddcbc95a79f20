"""`imgforge top` against a running server: JSON, lines for pipes, and a terminal that refreshes until Ctrl-C."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.top_view import lines_of, read_document, view_of
from tests.cli.runner import imgforge
from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Twistd, wait_for

ROW = {"count": 3, "seconds": 1.5, "bytes": 2500, "errors": 1, "estimated": 0, "uncertainty": 0}
DOCUMENT = {
    "by": "time",
    "since": 0,
    "processes": 2,
    "totals": {"count": 4, "seconds": 2.0, "bytes": 5_000_000, "errors": 1},
    "tables": {
        "sources": [ROW | {"name": "http://o/[red]a\x1b[2J.png"}, ROW | {"name": "http://o/b.png", "estimated": 2}],
        "formats": [ROW | {"name": "webp"}],
    },
}


class RefusalTests(SynchronousTestCase):
    def test_what_a_server_says_moves_no_cursor(self) -> None:
        server = Origin({"/debug/top": b"\x1b[2J\x07no"}, status=500)
        self.addCleanup(server.close)
        shown = imgforge("top", "--base-url", f"http://{server.host}")
        self.assertEqual(shown.returncode, 1)
        self.assertIn("no", shown.stderr)
        self.assertTrue(shown.stderr.strip().isprintable(), repr(shown.stderr))


class ViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.document = read_document(json.dumps(DOCUMENT))

    def test_lines_have_fields_with_tabs_between(self) -> None:
        lines = list(lines_of(self.document))
        self.assertEqual(lines[0], "since 00:00 UTC, 2 processes: 4 requests, 2.0 s, 5 MB, 1 errors; by time")
        self.assertEqual(lines[2].split("\t"), ["time", "requests", "bytes", "errors", "sources"])
        self.assertEqual(lines[3].split("\t"), ["1.50 s", "3", "2.5 KB", "1", "http://o/[red]a?[2J.png"])
        self.assertEqual(lines[4].split("\t")[:2], ["~1.50 s", "~3"])

    def test_view_shows_names_as_they_are_and_fits_the_terminal(self) -> None:
        rows = [ROW | {"name": f"http://o/{number}"} for number in range(50)]
        tables = {"tables": DOCUMENT["tables"] | {"origins": rows, "options": rows}}  # type: ignore[operator]
        for height in (24, 50):
            console = Console(width=80, height=height, record=True, file=io.StringIO())
            console.print(view_of(read_document(json.dumps(DOCUMENT | tables)), height))
            text = console.export_text()
            self.assertIn("[red]a?[2J.png", text)
            self.assertLessEqual(text.count("\n"), height)

    def test_other_documents_are_refused(self) -> None:
        for text in ("", "[]", "{}", json.dumps(DOCUMENT | {"tables": {"sources": [1]}})):
            self.assertRaises(ValueError, read_document, text)


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        origin = Origin({"/a.png": encode(gradient(40, 30), "PNG")})
        self.addCleanup(origin.close)
        self.server = Twistd({"PROCESSES": "1", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true", "PURGE_SECRET": "s"})
        self.addCleanup(self.server.clean)
        self.server.start()
        self.source = origin.url("/a.png")
        self.assertEqual(self.server.get(f"/unsafe/w:9/plain/{self.source}").status, 200)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def test_json_and_lines_and_refusals(self) -> None:
        shown = imgforge("top", "-B", self.url, "--json", "--by", "bytes", IMGFORGE_PURGE_SECRET="s")
        document = json.loads(shown.stdout)
        self.assertEqual((shown.returncode, document["by"]), (0, "bytes"))
        self.assertEqual(document["tables"]["sources"][0]["name"], self.source)
        lines = imgforge("top", "-B", self.url, "--secret", "s").stdout
        self.assertIn(f"\t{self.source}\n", lines)
        self.assertIn("\twidth=9\n", lines)
        refused = imgforge("top", "-B", self.url)
        self.assertEqual((refused.returncode, "answered 403" in refused.stderr), (1, True))
        other = imgforge("top", "-B", self.url + "/status?", "--secret", "s")
        self.assertEqual(other.returncode, 1)

    def test_server_without_tables_is_known_by_its_status_whatever_it_says(self) -> None:
        told = "for top tables a server of imgforge needs IMGFORGE_SECRET or IMGFORGE_PURGE_SECRET"
        server = Twistd({"PROCESSES": "1", "ALLOW_UNSIGNED": "true"})
        self.addCleanup(server.clean)
        missing = imgforge("top", "-B", f"http://127.0.0.1:{server.start().port}").stderr
        self.assertIn(f"answered 404: this server has no top tables; {told}", missing)
        other = Origin({"/debug/top": b"a page in other words\n"}, status=404)
        self.addCleanup(other.close)
        self.assertIn(told, imgforge("top", "-B", other.url("").rstrip("/")).stderr)
        busy = Origin({"/debug/top": b"there are no top tables at the moment\n"}, status=503)
        self.addCleanup(busy.close)
        self.assertNotIn(told, imgforge("top", "-B", busy.url("").rstrip("/")).stderr)

    def test_terminal_on_which_nothing_can_be_drawn_gets_lines(self) -> None:
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "top", "-B", self.url]
        environment = {"PYTHONPATH": str(ROOT), "IMGFORGE_PURGE_SECRET": "s", "TERM": "dumb"}
        shown = subprocess.run(command, stdout=other, env=environment, timeout=60, check=False)
        os.close(other)
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(os.read(main, 65536), b"^since .*\n")

    def test_terminal_refreshes_until_it_is_interrupted(self) -> None:
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        command = [sys.executable, "-c", "from imgforge.cli import main; main()", "top", "-B", self.url]
        environment = {"PYTHONPATH": str(ROOT), "IMGFORGE_PURGE_SECRET": "s", "TERM": "xterm"}
        program = subprocess.Popen(
            [*command, "--interval", "0.5"], stdin=other, stdout=other, stderr=other, env=environment, close_fds=True
        )
        self.addCleanup(program.kill)
        os.close(other)
        os.set_blocking(main, False)
        seen = bytearray()

        def shows(text: bytes) -> bool:
            with contextlib.suppress(BlockingIOError):
                seen.extend(os.read(main, 65536))
            return text in seen

        wait_for(lambda: shows(b"width=9"), "the tables")
        del seen[:]
        self.assertEqual(self.server.get(f"/unsafe/w:11/plain/{self.source}").status, 200)
        wait_for(lambda: shows(b"width=11"), "the refresh")

        def ended() -> bool:
            program.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(5)
            return program.returncode is not None

        wait_for(ended, "the end")
        self.assertEqual(program.returncode, 0)
