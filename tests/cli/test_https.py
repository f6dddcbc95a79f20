"""Commands that ask servers by TLS, in a reactor of their own."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.runner import Outcome, imgforge
from tests.support.certificates import certificate
from tests.support.loopback_server import LoopbackServer, QuietHandler
from tests.support.pictures import encode, gradient

PICTURE = encode(gradient(8, 6), "PNG")
LINE = '10.0.0.1 - - [28/Nov/2026:10:00:00 +0000] "GET /sig/w:3/plain/http://x/a.png HTTP/1.1" 200 9 "-" "-"\n'


class Handler(QuietHandler):
    """Answers with a picture."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)


class HttpsTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.pem = self.directory / "server.pem"
        self.pem.write_bytes(certificate("127.0.0.1"))
        server = LoopbackServer(Handler, str(self.pem))
        self.addCleanup(server.close)
        self.url = f"https://{server.host}"

    def run_command(self, *arguments: str, **settings: str) -> Outcome:
        return imgforge(*arguments, SSL_CERT_FILE=str(self.pem), **settings)

    def test_warm(self) -> None:
        log = self.directory / "log"
        log.write_text(LINE)
        result = self.run_command("warm", "-B", self.url, str(log))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["bytes"], len(PICTURE))

    def test_bench(self) -> None:
        result = self.run_command("bench", "-n", "3", f"{self.url}/a.png")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_original_is_fetched(self) -> None:
        result = self.run_command(
            "explain",
            "--fetch",
            f"/unsafe/w:4/plain/{self.url}/a.png",
            IMGFORGE_ALLOW_LOOPBACK_SOURCE_ADDRESSES="true",
            IMGFORGE_TIMEOUT="5",
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["sizes"]["source"], [8, 6])
