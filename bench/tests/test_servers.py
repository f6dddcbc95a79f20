"""Servers named on the command line, and servers that are started (bench/servers.py)."""

from __future__ import annotations

import argparse
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench.servers import Server, StartFailed, free_port, parse_server, running_process


class ParseServerTests(SynchronousTestCase):
    """`--server NAME=URL[,PID]`."""

    def test_name_and_url_give_a_server_without_process_id(self) -> None:
        server = parse_server("imgproxy=http://127.0.0.1:8081")
        self.assertEqual(server, Server("imgproxy", "http://127.0.0.1:8081"))
        self.assertEqual(server.address, ("127.0.0.1", 8081))

    def test_process_id_follows_the_url_and_the_final_slash_is_dropped(self) -> None:
        self.assertEqual(parse_server("a=http://[::1]:80/,4711"), Server("a", "http://[::1]:80", 4711))

    def test_error_quotes_the_part_that_is_wrong(self) -> None:
        for text, part in (
            ("http://x", "NAME=URL"),
            ("a=https://x", "https://x"),
            ("a=http://x/path", "/path"),
            ("a=http://x,self", "'self'"),
        ):
            error = self.assertRaises(argparse.ArgumentTypeError, parse_server, text)
            self.assertIn(part, str(error))


class RunningProcessTests(SynchronousTestCase):
    """Processes that are started and awaited."""

    def test_error_of_a_server_that_exits_at_once_contains_its_output(self) -> None:
        command = (sys.executable, "-c", "raise SystemExit('the port is taken')")
        error = self.assertRaises(StartFailed, running_process(command, free_port()).__enter__)
        self.assertIn("the port is taken", str(error))
