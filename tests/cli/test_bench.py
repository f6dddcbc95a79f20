"""`imgforge bench` on a real server, and on origins that misbehave."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from itertools import count
from threading import Lock
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.benchmark import histogram
from tests.cli.runner import imgforge
from tests.support.loopback_server import LoopbackServer, QuietHandler
from tests.support.process import Twistd, free_port, wait_for

PROGRAM = [sys.executable, "-c", "from imgforge.cli import main; main()", "bench"]


class Misbehaving(LoopbackServer):
    """Answers request number n as *answer* says: status, body, and whether it closes the connection."""

    def __init__(self, answer: Any) -> None:
        self.connections = 0
        self.requests = 0
        server, numbers, lock = self, count(), Lock()

        class Handler(QuietHandler):
            def setup(self) -> None:
                super().setup()
                server.connections += 1

            def do_GET(self) -> None:
                with lock:
                    number = next(numbers)
                    server.requests = number + 1
                status, body, closes = answer(number)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                if closes == "announced":
                    self.send_header("Connection", "close")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = bool(closes)

        super().__init__(Handler)
        self.url = f"http://{self.host}/a"


class BenchCase(SynchronousTestCase):
    def bench(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        result = imgforge("bench", *arguments)
        self.assertTrue(result.stdout, result.stderr)
        return result.returncode, json.loads(result.stdout)

    def server(self, answer: Any) -> Misbehaving:
        server = Misbehaving(answer)
        self.addCleanup(server.close)
        return server


class FigureTests(BenchCase):
    def test_server_is_measured_over_connections_that_are_kept(self) -> None:
        server = Twistd({"PROCESSES": "1", "CACHE_TYPE": "memory", "CACHE_TTL": "60"})
        self.addCleanup(server.clean)
        server.start()
        base = f"http://127.0.0.1:{server.port}"
        urls = [f"{base}/unsafe/w:{width}/plain/sample://landscape@webp" for width in (20, 30)]
        status, report = self.bench("-n", "60", "-c", "3", "--warm-up", "6", *urls)
        self.assertEqual((status, report["requests"], report["errors"], report["hits"]), (0, 60, 0, 60))
        self.assertEqual([row["requests"] for row in report["urls"]], [30, 30])
        self.assertEqual([row["bytes"] % 30 for row in report["urls"]], [0, 0])
        ordered = [report[name] for name in ("min_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")]
        self.assertEqual((ordered, ordered[0] > 0), (sorted(ordered), True))
        self.assertLess(abs(report["rps"] - 60 / report["seconds"]), 1)

    def test_connections_are_kept_until_the_server_closes_them(self) -> None:
        kept = self.server(lambda _: (200, b"body", ""))
        self.assertEqual(self.bench("-n", "40", "-c", "4", "--warm-up", "0", kept.url)[1]["errors"], 0)
        self.assertLessEqual(kept.connections, 4)
        self.assertEqual(kept.requests, 41)
        for closes in ("announced", "silent"):
            closing = self.server(lambda number, closes=closes: (200, b"body", closes if number % 5 == 4 else ""))
            report = self.bench("-n", "40", "-c", "1", "--warm-up", "0", closing.url)[1]
            self.assertEqual((report["errors"], report["requests"]), (0, 40))
            self.assertGreaterEqual(closing.connections, 8)

    def test_path_is_sent_as_it_is_written(self) -> None:
        paths: list[tuple[str, str]] = []

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                paths.append((self.path, self.headers["Accept"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        server = LoopbackServer(Handler)
        self.addCleanup(server.close)
        path = "/unsafe/rs:fit:1;/plain/http://a//b%2Fc?d=1"
        self.bench("-n", "1", "--warm-up", "0", "-H", "Accept: image/webp", f"http://{server.host}{path}#part")
        self.assertEqual(paths, [(path, "image/webp")] * 2)


class ErrorTests(BenchCase):
    def test_other_statuses_bodies_and_broken_answers_are_errors_by_kind(self) -> None:
        answers = {3: (503, b"", ""), 5: (200, b"other", ""), 8: (200, b"BODY", "")}
        server = self.server(lambda number: answers.get(number, (200, b"body", "")))
        status, report = self.bench("-n", "20", "-c", "2", "--warm-up", "0", server.url)
        self.assertEqual((status, report["errors"], report["requests"]), (1, 3, 20))
        self.assertEqual(report["error_kinds"], {"status 503": 1, "another body than the first": 2})
        cut = self.server(lambda number: (0 if number > 4 else 200, b"body", ""))
        status, report = self.bench("-n", "10", "-c", "1", "--warm-up", "0", cut.url)
        self.assertEqual((status, report["errors"], sum(report["error_kinds"].values())), (1, 6, 6))

    def test_url_that_is_not_an_image_is_not_measured(self) -> None:
        server = self.server(lambda _: (404, b"no such\nsource", ""))
        for url, message in (
            (server.url, ": 404 no such source"),
            (f"http://127.0.0.1:{free_port()}/", "/: Connection refused"),
            ("ftp://a/", "must be a URL"),
        ):
            result = imgforge("bench", url)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn(message, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_answer_that_does_not_come_is_an_error(self) -> None:
        def answer(number: int) -> tuple[int, bytes, str]:
            if number > 2:
                server.wait()
            return 200, b"", ""

        server: Misbehaving = self.server(answer)
        server.hold()
        status, report = self.bench("-n", "5", "-c", "1", "--warm-up", "0", "--timeout", "0.5", server.url)
        self.assertEqual((status, report["error_kinds"]), (1, {"it takes too long": 3}))

    def test_interrupt_reports_what_was_measured(self) -> None:
        server = self.server(lambda _: (200, b"body", ""))
        process = subprocess.Popen(
            [*PROGRAM, "-n", "10000000", "-c", "2", server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for(lambda: server.requests > 100, "some requests")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, errors)
        report = json.loads(output)
        self.assertEqual((report["interrupted"], report["errors"]), (True, 0))


class TerminalTests(BenchCase):
    def test_terminal_gets_a_table_and_a_histogram(self) -> None:
        server = self.server(lambda _: (200, b"body", ""))
        url = f"{server.url}/a/[/b]"  # which is no markup
        text = self.shown_on_80_columns("-n", "50", "-c", "2", url, f"{url}?2")
        self.assertIn("p95 ms", text)
        self.assertIn("█", text)
        self.assertIn(" ms ", text)
        self.assertNotIn("…", text)  # nothing is cut short
        lines = text.splitlines()
        column = next(line for line in lines if "p95 ms" in line).index("URL")
        self.assertIn("/a/[/b]?2", "".join(line[column:].strip() for line in lines))
        self.assertIn(url, self.shown_on_80_columns("-n", "5", "-c", "2", url))

    def shown_on_80_columns(self, *arguments: str) -> str:
        """What the command prints on a terminal without colours."""
        ours, theirs = pty.openpty()
        environment = os.environ | {"COLUMNS": "80", "TERM": "dumb"}
        command = [*PROGRAM, *arguments]
        with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
            os.close(theirs)
            shown = b""
            try:
                while data := os.read(ours, 65536):
                    shown += data
            except OSError:  # the other end is closed
                pass
            self.assertEqual(process.wait(60), 0)
        os.close(ours)
        return shown.decode()

    def test_histogram_counts_every_latency_once(self) -> None:
        latencies = [0.001] * 50 + [0.002] * 30 + [0.010] * 19 + [5.0]
        lines = histogram(latencies, rows=9)
        self.assertEqual(sum(int(line.split()[-1]) for line in lines), 100)
        self.assertEqual((lines[0].count("█"), lines[-1].split()[0]), (50, ">"))
        self.assertEqual(histogram([]), [])
        self.assertEqual(sum(int(line.split()[-1]) for line in histogram([0.1, 0.1])), 2)
