"""A log whose reader has stopped: requests are answered, and every line arrives in order once it is read."""

from __future__ import annotations

import base64
import fcntl
import os
import re
import tempfile
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.support.pictures import encode, gradient
from tests.support.process import ROOT, Origin, Twistd

REQUESTS = 20
LONG = "x" * 500
PNG = encode(gradient(8, 8), "PNG")


class SlowLogTests(SynchronousTestCase):
    def start(self, processes: int) -> tuple[Twistd, int]:
        """A server whose log is a pipe of 4096 bytes, and the end to read it from."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.addCleanup(os.close, reader)
        server = Twistd(
            {"PROCESSES": str(processes), "ALLOW_UNSIGNED": "true", "ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"}
            | {"FALLBACK_IMAGE_DATA": base64.b64encode(PNG).decode()}
        )
        server.stdout = writer
        self.addCleanup(server.clean)
        try:
            server.start()
        finally:
            os.close(writer)
        return server, reader

    def ask(self, server: Twistd, number: int) -> None:
        """A request that is logged with 500 bytes and more."""
        missing = self.origin.url(f"/{number}/{LONG}")
        reply = server.get(f"/unsafe/w:8/plain/{missing}", {"X-Request-ID": f"request-{number}"})
        self.assertEqual(reply.status, 200)  # a fallback image, which is worth a line

    def setUp(self) -> None:
        self.origin = Origin()
        self.addCleanup(self.origin.close)

    def read_all(self, reader: int) -> list[str]:
        data = b""
        while part := os.read(reader, 65536):
            data += part
        return data.decode().splitlines()

    def identities(self, lines: list[str]) -> list[str]:
        return [found[1] for line in lines if (found := re.search(r"\[(request-\d+)\]", line))]

    def test_requests_are_answered_and_all_lines_arrive_in_order(self) -> None:
        for processes in (1, 2):
            server, reader = self.start(processes)
            for number in range(REQUESTS):
                self.ask(server, number)
            found: list[list[str]] = []
            reading = Thread(target=lambda: found.append(self.read_all(reader)))  # noqa: B023  joined below
            reading.start()
            self.assertEqual(server.stop(), 0)
            reading.join()
            identities = self.identities(found[0])
            self.assertEqual(sorted(identities), sorted(f"request-{number}" for number in range(REQUESTS)))
            if processes == 1:  # each worker's own are in order
                self.assertEqual(identities, [f"request-{number}" for number in range(REQUESTS)])

    def test_server_ends_while_nobody_reads(self) -> None:
        server, reader = self.start(2)
        for number in range(REQUESTS):
            self.ask(server, number)
        self.assertEqual(server.stop(), 0)
        self.assertIn("request-", os.read(reader, 65536).decode())


# A source that, once asked, has lines logged after all services have stopped.
LAST_WORDS = """
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import ISource, ISourceFactory


def speak():
    for number in range(200):
        Logger("words").info("last words {number}", number=number)


@implementer(ISource)
class LastWords:
    def fetch(self, url, limit, headers, reserve=None):
        reactor.addSystemEventTrigger("after", "shutdown", speak)
        raise RuntimeError


@implementer(IPlugin, ISourceFactory)
class Factory:
    schemes = ("words",)

    def make(self, reactor, settings):
        return LastWords()


factory = Factory()
"""


class EndTests(SynchronousTestCase):
    """What is logged last is written, however the process ends."""

    def server(self, processes: int) -> Twistd:
        beside = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(beside.cleanup)
        plugins = Path(beside.name, "twisted", "plugins")
        plugins.mkdir(parents=True)
        (plugins / "words.py").write_text(LAST_WORDS)
        path = os.pathsep.join([beside.name, str(ROOT)])
        server = Twistd({"ALLOW_UNSIGNED": "true", "PROCESSES": str(processes)}, (), {"PYTHONPATH": path})
        self.addCleanup(server.clean)
        return server.start()

    def check(self, server: Twistd) -> None:
        words = [int(found) for found in re.findall(r"last words (\d+)", server.output())]
        self.assertEqual(words, list(range(200)))

    def test_stop(self) -> None:
        for processes in (1, 2):
            server = self.server(processes)
            self.assertEqual(server.get("/unsafe/plain/words://x").status, 500)
            self.assertEqual(server.stop(), 0)
            self.check(server)
