"""A server that logs to syslog: its own lines and those of the access log, of all its processes."""

from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.loopback_server import DEADLINE
from tests.support.process import Twistd, wait_for

LINE = re.compile(rb"<(\d+)>\S{3} .. \S{8} (\S+)\[(\d+)\]: (.*)\n", re.DOTALL)


class SyslogTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name, "log"))
        self.messages: list[tuple[int, str, int, str]] = []

    def receiver(self) -> socket.socket:
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(self.path)
        receiver.setblocking(False)
        return receiver

    def server(self, *options: str, **settings: str) -> Twistd:
        server = Twistd(
            {"SYSLOG_ENABLE": "true", "SYSLOG_NETWORK": "unixgram", "SYSLOG_ADDRESS": self.path}
            | {"ALLOW_UNSIGNED": "true", "LOG_LEVEL": "warn"}
            | settings
        )
        server.options = options
        self.addCleanup(server.clean)
        return server.start()

    def receive(self, receiver: socket.socket) -> str:
        """The texts of all messages so far."""
        while True:
            try:
                message = receiver.recv(65536)
            except BlockingIOError:
                return "\n".join(text for *_, text in self.messages)
            found = LINE.fullmatch(message)
            assert found is not None, message
            self.messages.append((int(found[1]), found[2].decode(), int(found[3]), found[4].decode()))

    def test_all_processes_send_their_lines_and_those_of_the_access_log(self) -> None:
        receiver = self.receiver()
        server = self.server(PROCESSES="2", SYSLOG_LEVEL="info", SYSLOG_TAG="pictures", ACCESS_LOG="combined")
        wait_for(lambda: len(server.children()) == 2, "both workers")
        workers = server.children()
        self.assertEqual(server.get("/unsafe/nonsense:1/plain/http://x/a.png").status, 400)
        for text in ("nonsense", "listening on", "writes"):  # each of a process of its own
            wait_for(lambda text=text: text in self.receive(receiver), text)  # type: ignore[misc]
        self.assertEqual(server.stop(), 0)
        everything = self.receive(receiver)
        for text in ("listening on", "writes", "stopping"):  # of supervisor, announcer and supervisor
            self.assertEqual(
                len(re.findall(rf'^time="[^"]+" level="INFO" .*{text}', everything, re.MULTILINE)), 1, text
            )
            self.assertNotIn(text, server.output())  # which has warnings only
        (line,) = [line for line in self.messages if "nonsense" in line[3]]
        self.assertEqual((line[0], line[1]), (8 + 6, "pictures"))
        self.assertIn(line[2], workers)
        self.assertIn('"GET /unsafe/nonsense:1/plain/http://x/a.png', line[3])
        self.assertIn(line[3], server.output().splitlines())

    def test_receiver_that_is_away_delays_nothing_and_gets_everything_later(self) -> None:
        server = self.server(PROCESSES="1", SYSLOG_LEVEL="info")
        wait_for(lambda: "takes no messages" in server.output(), "the warning")
        receiver = self.receiver()
        wait_for(lambda: "listening on" in self.receive(receiver), "the first lines")
        self.assertEqual(server.stop(), 0)
        self.assertIn("stopping", self.receive(receiver))

    def test_server_ends_without_a_receiver(self) -> None:
        self.assertEqual(self.server(PROCESSES="2").stop(), 0)

    def test_tcp_beside_a_log_file_of_twistd(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(DEADLINE)
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            server = self.server(
                *("--logfile", "server.log"),
                PROCESSES="1",
                SYSLOG_LEVEL="info",
                SYSLOG_NETWORK="tcp",
                SYSLOG_ADDRESS=address,
            )
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                self.assertEqual(server.stop(), 0)
                text = lines.read().decode()
        self.assertIn(f"{socket.gethostname()} imgforge[", text)
        self.assertIn("stopping", text)
