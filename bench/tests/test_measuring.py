"""What the measuring programs share: naming servers, their CPU time, load, percentiles, rounds in turns."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, redirect_stderr
from io import StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from bench.alternating_rounds import Contender, RoundSample, measure_alternately
from bench.load import LoadResult, drive, fetch, percentile
from bench.output import markdown_table
from bench.process_usage import cpu_seconds
from bench.servers import Server, StartFailed, file_origin, free_port, parse_server, running_process

# Burns CPU time in a grandchild until it is told on standard output that it has used half a second, then waits.
_BUSY_GRANDCHILD = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        while time.process_time() < 0.5: pass
        os.write(1, b"burnt")
    time.sleep(60)
time.sleep(60)
"""


class ServerNameTests(SynchronousTestCase):
    """`--server NAME=URL[,PID]`."""

    def test_a_name_and_a_url(self) -> None:
        server = parse_server("imgproxy=http://127.0.0.1:8081")
        self.assertEqual(server, Server("imgproxy", "http://127.0.0.1:8081"))
        self.assertEqual(server.address, ("127.0.0.1", 8081))

    def test_with_a_process_id(self) -> None:
        self.assertEqual(parse_server("a=http://[::1]:80/,4711"), Server("a", "http://[::1]:80", 4711))

    def test_mistakes_are_named(self) -> None:
        for text, part in (
            ("http://x", "NAME=URL"),
            ("a=https://x", "https://x"),
            ("a=http://x/path", "/path"),
            ("a=http://x,self", "'self'"),
        ):
            error = self.assertRaises(argparse.ArgumentTypeError, parse_server, text)
            self.assertIn(part, str(error))


class ProcessTests(SynchronousTestCase):
    """Processes that are started and watched."""

    def test_the_cpu_time_of_grandchildren_counts(self) -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", _BUSY_GRANDCHILD], stdout=subprocess.PIPE, start_new_session=True
        )
        self.addCleanup(os.killpg, process.pid, signal.SIGKILL)
        if process.stdout is None:
            self.fail("no pipe")
        with process.stdout:
            self.assertEqual(process.stdout.read(5), b"burnt")
            self.assertGreaterEqual(cpu_seconds(process.pid), 0.45)

    def test_a_server_that_ends_at_once_says_why(self) -> None:
        command = (sys.executable, "-c", "raise SystemExit('the port is taken')")
        error = self.assertRaises(StartFailed, running_process(command, free_port()).__enter__)
        self.assertIn("the port is taken", str(error))


class LoadTests(SynchronousTestCase):
    """Load on a real HTTP server."""

    def setUp(self) -> None:
        with ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (root / "there").write_bytes(b"x" * 100_000)
            base = stack.enter_context(file_origin(root))
            self.address = Server("origin", base.rstrip("/")).address
            self.addCleanup(stack.pop_all().close)

    def test_every_path_is_asked_once_and_failures_are_counted_apart(self) -> None:
        load = drive(self.address, ["/there"] * 30 + ["/missing"] * 7, connections=4)
        self.assertEqual((load.answers, load.failures), (30, 7))
        self.assertTrue(0 < load.p50 <= load.p95 <= load.p99 <= load.seconds)

    def test_a_single_answer_is_kept_whole(self) -> None:
        self.assertEqual(fetch(self.address, "/there").body, b"x" * 100_000)
        self.assertEqual(fetch(("127.0.0.1", free_port()), "/there").status, 0)

    def test_nobody_listening_is_an_error_not_a_figure(self) -> None:
        with socket.socket() as silent:  # bound, so that nobody else listens there
            silent.bind(("127.0.0.1", 0))
            self.assertRaises(OSError, drive, silent.getsockname(), ["/there"], connections=2)


class FigureTests(SynchronousTestCase):
    """Numbers and how they are shown."""

    @given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.sampled_from([0.5, 0.95, 0.99]))
    def test_a_percentile_is_the_least_value_that_its_share_does_not_exceed(
        self, values: list[float], share: float
    ) -> None:
        found = percentile(values, share)
        self.assertGreaterEqual(sum(value <= found for value in values), share * len(values) - 1e-9)
        self.assertLess(sum(value < found for value in values), share * len(values))

    def test_rounds_alternate_and_medians_ignore_one_bad_round(self) -> None:
        order: list[str] = []

        def contender(name: str, rates: list[int], cpu: float | None) -> Contender:
            remaining = iter(rates)

            def measure() -> RoundSample:
                order.append(name)
                return RoundSample(LoadResult(next(remaining), 0, 1.0, 0.1, 0.2, 0.3), cpu)

            return Contender(name, measure)

        with redirect_stderr(StringIO()):
            first, second = measure_alternately(
                [contender("a", [100, 1, 100], 2.0), contender("b", [50, 50, 900], None)], 3, "a"
            )
        self.assertEqual(order, ["a", "b"] * 3)
        self.assertEqual((first.rate, first.cpu, first.ratio), (100, 0.02, 1.0))
        self.assertEqual((second.rate, second.cpu, second.ratio), (50, None, 0.5))

    def test_tables_are_markdown_with_numbers_to_the_right(self) -> None:
        self.assertEqual(
            markdown_table(("server", "n"), [("a", 5), ("longer one", 1000)]).splitlines(),
            [
                "| server     |    n |",
                "| ---------- | ---: |",
                "| a          |    5 |",
                "| longer one | 1000 |",
            ],
        )
