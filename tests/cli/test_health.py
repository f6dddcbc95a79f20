"""`imgforge health` without a server; with one: test_running_server."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from imgforge.cli.server_connection import (
    ServerAddress,
    ServerRequest,
    ServerUnreachable,
    address_of_url,
    answer_to,
)
from tests.cli.runner import imgforge
from tests.support.certificates import certificate
from tests.support.process import ROOT


class HealthCommandTests(SynchronousTestCase):
    def test_failures_are_reported_in_one_line(self) -> None:
        for arguments, bind in (
            (("--url", "nonsense"), ""),
            (("--url", "http://x:999999"), ""),
            ((), "systemd:index=0"),
        ):
            result = imgforge("health", *arguments, IMGFORGE_BIND=bind, IMGFORGE_ALLOW_UNSIGNED="true")
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (1, 1), result.stderr)

    def test_check_imports_no_reactor_and_no_library_of_the_server(self) -> None:
        program = (
            "import sys\nfrom imgforge.cli import main\n"
            "try: main(['health', '--url', 'http://127.0.0.1:1'], standalone_mode=False)\n"
            "except SystemExit as end: print(end.code, *sys.modules)"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        status, *imported = run.stdout.split()
        self.assertEqual((status, run.stderr), ("1", "imgforge: no answer: Connection refused\n"))
        self.assertEqual({"twisted", "treq", "OpenSSL", "cryptography", "msgspec", "rich"} & set(imported), set())


class ExchangeTests(SynchronousTestCase):
    """One request to a server that answers as it is told."""

    def listening(
        self, answer: Callable[[socket.socket], None], family: int = socket.AF_INET, end: bytes = b"\r\n\r\n"
    ) -> ServerAddress:
        listener = socket.socket(family)
        self.addCleanup(listener.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "s") if family == socket.AF_UNIX else ""
        listener.bind(path or ("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                self.received = b""
                while not self.received.endswith(end):
                    self.received += accepted.recv(65536)
                answer(accepted)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        self.addCleanup(server.join, 5)
        if path:
            return ServerAddress("http", "localhost", 80, path)
        return address_of_url(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def test_path_and_headers_are_sent_as_they_are_and_the_answer_is_cut(self) -> None:
        whole = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 12\r\n\r\nhello, there"
        for family in (socket.AF_INET, socket.AF_UNIX):
            address = self.listening(lambda client: client.sendall(whole), family)
            answer = answer_to(
                address, ServerRequest("GET", "/a;?b;", headers={"Authorization": "Bearer x"}, longest=5)
            )
            self.assertEqual((answer.status, answer.text, answer.headers["x-a"]), (200, "hello", "1, 2"))
            head, *lines = self.received.decode().split("\r\n")
            self.assertEqual(head, "GET /a;?b; HTTP/1.1")
            self.assertTrue({"Authorization: Bearer x", f"Host: {address.authority}"} <= set(lines), lines)

    def test_certificate_is_judged_unless_the_address_is_that_of_a_listener(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(certificate("images.example"))
            pem.flush()
            context.load_cert_chain(pem.name)

        def answer(client: socket.socket) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as wrapped:
                wrapped.recv(65536)
                wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")

        for verified in (False, True):
            plain = self.listening(answer, end=b"")
            address = ServerAddress("https", plain.host, plain.port, verified=verified)
            if verified:
                self.assertRaisesRegex(ServerUnreachable, "certificate", answer_to, address, ServerRequest("GET", "/"))
            else:
                self.assertEqual(answer_to(address, ServerRequest("GET", "/")).text, "fine")

    def test_body_is_sent(self) -> None:
        address = self.listening(lambda client: client.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"), end=b"{}")
        self.assertEqual(answer_to(address, ServerRequest("POST", "/purge", body="{}")).status, 204)
        self.assertTrue(self.received.endswith(b"\r\n\r\n{}"), self.received)

    def test_broken_answers_are_told_in_one_line(self) -> None:
        for broken in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"):
            address = self.listening(lambda client, broken=broken: client.sendall(broken))  # type: ignore[misc]
            with self.assertRaises(ServerUnreachable) as raised:
                answer_to(address, ServerRequest("GET", "/"))
            self.assertRegex(str(raised.exception), r"\Ano answer: [^\n]+\Z")

    def test_answer_in_small_pieces_ends_with_the_timeout_of_the_whole(self) -> None:
        ended = threading.Event()

        def drip(client: socket.socket) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while not ended.wait(0.02):
                client.sendall(b"X-A: 1\r\n")

        address = self.listening(drip)
        self.addCleanup(ended.set)
        with self.assertRaises(ServerUnreachable) as raised:
            answer_to(address, ServerRequest("GET", "/", timeout=0.3))
        self.assertEqual(str(raised.exception), "no answer: it takes too long")
