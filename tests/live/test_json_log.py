"""With LOG_FORMAT=json every line is one JSON object, also those of plugins, C libraries and uncaught exceptions."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.process import ROOT, Twistd, wait_for

# A source that writes to the log in every possible way, and then raises.
NOISY = """
import logging, os, sys, threading, warnings

from twisted.plugin import IPlugin
from zope.interface import implementer

from imgforge.interfaces import ISource, ISourceFactory


class Ignored:
    def __del__(self):
        raise ValueError("said by __del__")


def in_a_thread():
    raise ValueError("said by a thread")


@implementer(ISource)
class Noisy:
    def fetch(self, url, limit, headers, reserve=None):
        print("said by print")
        print("said by stderr", file=sys.stderr)
        warnings.warn("said by warnings")
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
        Ignored()
        try:
            1 / 0
        except ZeroDivisionError:
            logging.getLogger("noisy").exception("said by logging")
        if url.endswith("descriptor"):
            os.write(2, b"said by a C library\\n")
        raise RuntimeError("said by the source")


@implementer(IPlugin, ISourceFactory)
class Factory:
    schemes = ("noisy",)

    def make(self, reactor, settings):
        return Noisy()


factory = Factory()
"""
BY_EVENT = ("__del__", "a thread", "logging", "the source")  # whose tracebacks are fields
SAID = (*BY_EVENT, "print", "stderr", "warnings")


class JsonLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.beside = tempfile.TemporaryDirectory(prefix="imgforge-test-")
        self.addCleanup(self.beside.cleanup)
        plugins = Path(self.beside.name, "twisted", "plugins")
        plugins.mkdir(parents=True)
        (plugins / "noisy.py").write_text(NOISY)
        self.config = Path(self.beside.name, "imgforge.toml")
        self.config.write_text("")

    def server(self, processes: int) -> Twistd:
        path = os.pathsep.join([self.beside.name, str(ROOT)])
        settings = {"ALLOW_UNSIGNED": "true", "PROCESSES": str(processes), "ACCESS_LOG": "json"}
        settings |= {"LOG_FORMAT": "json", "LOG_LEVEL": "debug"}
        server = Twistd(settings, ("--config", str(self.config)), {"PYTHONPATH": path})
        self.addCleanup(server.clean)
        return server.start()

    def lines(self, server: Twistd) -> list[dict[str, Any]]:
        """All lines; one that is no JSON object fails the test."""
        lines = []
        for text in server.output().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                self.fail(f"no JSON: {text!r}")
            self.assertIsInstance(line, dict)
            lines.append(line)
        return lines

    def check(self, server: Twistd, names: tuple[str, ...]) -> None:
        lines = self.lines(server)
        for name in names:
            logged = [line for line in lines if f"said by {name}" in line.get("message", "")]
            self.assertTrue(logged, name)
            self.assertEqual("traceback" in logged[0], name in BY_EVENT, logged[0])
        messages = [line.get("message", "") for line in lines]
        self.assertTrue(any("starting up" in message for message in messages), messages[:9])  # twistd's own
        self.assertTrue(any("Server Shut Down" in message for message in messages), messages[-3:])
        self.assertTrue(all("level" in line for line in lines))

    def test_supervisor_and_workers_log_json_lines(self) -> None:
        server = self.server(2)
        self.assertEqual(server.get("/unsafe/plain/noisy://descriptor").status, 500)
        wait_for(lambda: "said by a C library" in server.output(), "what was written to the descriptor")
        self.config.write_text("nonsense = 1\n")
        os.kill(server.process.pid if server.process else 0, signal.SIGHUP)
        wait_for(lambda: "the new configuration is not used" in server.output(), "the mistake")
        first = server.children()
        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: set(server.children()) - set(first), "another worker")
        self.assertEqual(server.stop(), 0)
        self.check(server, (*SAID, "a C library"))

    def test_one_process_logs_json_lines(self) -> None:
        server = self.server(1)
        self.assertEqual(server.get("/unsafe/plain/noisy://x").status, 500)
        os.kill(server.process.pid if server.process else 0, signal.SIGHUP)
        wait_for(lambda: "takes effect at the next start" in server.output(), "the answer to SIGHUP")
        self.assertEqual(server.stop(), 0)
        self.check(server, SAID)
