"""`imgforge warm` against scripted servers on loopback; with imgforge itself: tests/live/test_warm.py."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from imgforge.urls import Signer
from tests.cli.runner import Outcome, imgforge, imgforge_reading
from tests.support.loopback_server import LoopbackServer, QuietHandler

KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
SIGNER = Signer(bytes.fromhex("aa" * 32), bytes.fromhex("bb" * 32))
LINE = '10.0.0.1 - - [28/Nov/2026:{hour:02}:00:00 +0000] "GET {path} HTTP/1.1" {status} 9 "-" "-"\n'


def image(name: str) -> str:
    return f"/sig/w:3/plain/http://x/{name}.jpg"


class Server(LoopbackServer):
    """Answers as `statuses` says for each path, one after the other, then 200; `paths` were asked for.

    `raw` are whole answers by paths, after which the connection is closed.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.statuses: dict[str, list[int]] = {}
        self.raw: dict[str, bytes] = {}
        server = self

        class Handler(QuietHandler):
            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_GET(self) -> None:
                server.paths.append(self.path)
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                left = server.statuses.get(self.path, [])
                status = left.pop(0) if left else 200
                if self.path in server.raw:
                    self.close_connection = True
                    with contextlib.suppress(OSError):  # the client hangs up
                        self.wfile.write(server.raw[self.path])
                    return
                self.send_response(status)
                self.send_header("Cache-Status", "imgforge; fwd=miss; detail=MISS")
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"image")

        super().__init__(Handler)


class WarmCommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.server = Server()
        self.addCleanup(self.server.close)

    def log(self, *lines: tuple[str, int] | tuple[str, int, int], name: str = "log") -> str:
        path = self.directory / name
        rows = [(*line, 12)[:3] for line in lines]
        path.write_text("".join(LINE.format(path=row[0], status=row[1], hour=row[2]) for row in rows))
        return str(path)

    def warm(self, *arguments: str, **settings: str) -> tuple[dict[str, Any], Outcome]:
        result = imgforge("warm", "--base-url", f"http://{self.server.host}", *arguments, **settings)
        lines = result.stdout.splitlines()
        return json.loads(lines[-1]) if lines else {}, result

    def test_images_are_asked_for_once_the_most_frequent_first(self) -> None:
        first = self.log((image("a"), 200), (image("b"), 200), ("/status", 200), (image("c"), 404), name="1")
        second = self.log((image("b") + "?v=2", 304), (image("d"), 200), name="2")
        report, result = self.warm("--concurrency", "1", first, second)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.server.paths, [image("b"), image("a"), image("d")])
        self.assertEqual(self.server.connections, 1)
        expected = {
            "lines": 6,
            "images": 4,
            "paths": 3,
            "resumed": 0,
            "requests": 3,
            "made": 3,
            "hits": {},
            "failures": {},
        }
        self.assertEqual(report, expected | {"unmarked": 0, "retries": 0, "bytes": 15, "interrupted": False})

    def test_top_and_since_choose(self) -> None:
        log = self.log(*[(image("a"), 200, 8)] * 3, *[(image("b"), 200, 10)] * 2, (image("c"), 200, 11))
        report, _ = self.warm("--top", "1", "--since", "2026-11-28T09:00", log)
        self.assertEqual((self.server.paths, report["images"], report["paths"]), ([image("b")], 3, 1))
        self.assertEqual(self.warm("--since", "soon", log)[1].returncode, 2)

    def test_dry_run_prints_the_paths_and_asks_for_none(self) -> None:
        log = self.log((image("a"), 200), (image("b"), 200), (image("b"), 200))
        report, result = self.warm("--dry-run", "--resign", log, **KEYS)
        rows = [json.loads(line) for line in result.stdout.splitlines()[:-1]]
        signed = [SIGNER.sign(image(name).removeprefix("/sig")) for name in "ba"]
        self.assertEqual(rows, [{"count": 2, "path": signed[0]}, {"count": 1, "path": signed[1]}])
        self.assertEqual((report["dry_run"], report["paths"], self.server.paths), (True, 2, []))

    def test_paths_are_signed_anew_only_with_a_key(self) -> None:
        log = self.log((image("a"), 200), ("/other/w:3/plain/http://x/a.jpg", 200))
        self.assertEqual(self.warm("--resign", log, **KEYS)[1].returncode, 0)
        self.assertEqual(self.server.paths, [SIGNER.sign("/w:3/plain/http://x/a.jpg")])
        result = self.warm("--resign", log)[1]
        self.assertEqual((result.returncode, "keygen" in result.stderr), (1, True))

    def test_failures_are_counted_by_status_and_cause(self) -> None:
        self.server.statuses = {image("a"): [404], image("b"): [500], image("d"): [301]}
        self.server.raw = {image("c"): b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"}
        report, result = self.warm(self.log(*((image(name), 200) for name in "abcde")))
        self.assertEqual(result.returncode, 1)
        self.assertEqual(report["failures"], {"404": 1, "500": 1, "301": 1, "broken": 1})
        self.assertEqual((report["made"], report["requests"]), (1, 5))

    def test_a_head_of_megabytes_is_not_read(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\n%sContent-Length: 5\r\n\r\nimage"
        hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        self.server.raw = {
            image("a"): answer % (b"X-Name: value\r\n" * 300_000),
            image("b"): hint * 200_000 + answer % b"",
            image("c"): hint + answer % (b"X-Name: value\r\n" * 100),
        }
        report, _ = self.warm(self.log(*((image(name), 200) for name in "abcd")))
        self.assertEqual((report["failures"], report["requests"]), ({"broken": 2}, 4))

    def test_a_busy_server_is_asked_again(self) -> None:
        self.server.statuses = {image("a"): [429, 503]}
        report, result = self.warm(self.log((image("a"), 200), (image("b"), 200)))
        self.assertEqual((result.returncode, report["made"], report["retries"]), (0, 2, 2))
        self.assertEqual(Counter(self.server.paths), {image("a"): 3, image("b"): 1})

    def test_an_absent_server_is_given_up(self) -> None:
        self.server.close()
        report, result = self.warm(self.log(*((image(str(number)), 200) for number in range(100))))
        self.assertEqual((result.returncode, report["failures"]), (1, {"unreachable": report["requests"]}))
        self.assertLess(report["requests"], 30)
        self.assertIn("gave up: 20 requests in a row", result.stderr)
        self.assertIn("were not asked for", result.stderr)

    def test_what_failed_is_asked_for_again_with_the_resume_file(self) -> None:
        log, resume = self.log(*((image(name), 200) for name in "abc")), str(self.directory / "resume")
        self.server.statuses = {image("b"): [500]}
        self.assertEqual(self.warm("--resume", resume, log)[1].returncode, 1)
        self.server.paths.clear()
        report, result = self.warm("--resume", resume, log)
        self.assertEqual((result.returncode, self.server.paths, report["resumed"]), (0, [image("b")], 2))
        self.assertFalse(Path(resume).exists())
        Path(resume).write_text("my notes\n")
        result = self.warm("--resume", resume, log)[1]
        self.assertEqual((result.returncode, "no resume file" in result.stderr, result.stdout), (1, True, ""))
        self.assertEqual(Path(resume).read_text(), "my notes\n")
        result = self.warm("--resume", f"{self.directory}/none/resume", log)[1]
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)

    def test_requests_have_the_headers_of_browsers_the_token_and_those_that_are_given(self) -> None:
        log = self.log((image("a"), 200))
        self.warm("-H", "accept: image/png", "-H", "X-Tenant: t", log, IMGFORGE_SECRET="s3")
        self.warm(log)
        given, usual = self.server.headers
        self.assertEqual((given["accept"], given["x-tenant"], given["authorization"]), ("image/png", "t", "Bearer s3"))
        self.assertEqual((usual["accept"][:10], "authorization" in usual), ("image/avif", False))
        self.assertEqual(self.warm("-H", "a: b\nc: d", log)[1].returncode, 2)

    def test_paths_reach_the_server_byte_for_byte(self) -> None:
        paths = [
            f"/sig/w:3/plain/{name}"
            for name in ("http:/x//a/../b", "a%2fb%2F%20~!$&'()*+,;=", "[x]{y}|z", "a;b;c", "a%3F@png", "a;")
        ]
        self.warm("--concurrency", "1", self.log(*((path, 200) for path in paths)))
        self.assertEqual(sorted(self.server.paths), sorted(paths))

    def test_standard_input_is_a_log(self) -> None:
        data = LINE.format(path=image("a"), status=200, hour=1).encode()
        result = imgforge_reading(data, "warm", "-B", f"http://{self.server.host}/p", "-")
        self.assertEqual((result.returncode, self.server.paths), (0, ["/p" + image("a")]))

    def test_logs_without_images_are_told_of(self) -> None:
        report, result = self.warm(self.log(("/status", 200)))
        self.assertEqual((result.returncode, report["paths"], "no image" in result.stderr), (0, 0, True))
        wrong = self.directory / "wrong"
        wrong.write_text("something else\n" * 3)
        result = self.warm(str(wrong))[1]
        self.assertEqual((result.returncode, "none of the 3 lines" in result.stderr), (1, True))

    def test_mistakes_in_arguments_have_an_exit_status_and_no_traceback(self) -> None:
        log = self.log((image("a"), 200))
        for arguments, status in (
            (("warm", log), 2),
            (("warm", "-B", "nonsense", log), 1),
            (("warm", "-B", "http://h"), 2),
            (("warm", "-B", "http://h", "/nowhere"), 2),
            (("warm", "-B", "http://h", "--rate", "0", log), 2),
            (("warm", "-B", "http://h", "--concurrency", "0", log), 2),
        ):
            self.assertEqual(imgforge(*arguments).returncode, status, arguments)
