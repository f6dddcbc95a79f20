"""Closed-loop load on a real HTTP server, and percentiles (bench/load.py)."""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from bench.load import drive, fetch, percentile
from bench.servers import Server, file_origin, free_port


class LoadTests(SynchronousTestCase):
    """Requests to an origin that serves one file."""

    def setUp(self) -> None:
        with ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            (root / "there").write_bytes(b"x" * 100_000)
            base = stack.enter_context(file_origin(root))
            self.address = Server("origin", base.rstrip("/")).address
            self.addCleanup(stack.pop_all().close)

    def test_every_path_is_requested_once_and_other_statuses_count_as_failures(self) -> None:
        load = drive(self.address, ["/there"] * 30 + ["/missing"] * 7, connections=4)
        self.assertEqual((load.answers, load.failures), (30, 7))
        self.assertTrue(0 < load.p50 <= load.p95 <= load.p99 <= load.seconds)

    def test_fetch_returns_the_whole_body_or_status_0(self) -> None:
        self.assertEqual(fetch(self.address, "/there").body, b"x" * 100_000)
        self.assertEqual(fetch(("127.0.0.1", free_port()), "/there").status, 0)

    def test_refused_connections_raise_instead_of_counting_as_failures(self) -> None:
        with socket.socket() as silent:  # bound, so that no other process listens on its port
            silent.bind(("127.0.0.1", 0))
            self.assertRaises(OSError, drive, silent.getsockname(), ["/there"], connections=2)


class PercentileTests(SynchronousTestCase):
    """Nearest rank."""

    @given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted), st.sampled_from([0.5, 0.95, 0.99]))
    def test_percentile_is_the_smallest_value_that_its_share_does_not_exceed(
        self, values: list[float], share: float
    ) -> None:
        found = percentile(values, share)
        self.assertGreaterEqual(sum(value <= found for value in values), share * len(values) - 1e-9)
        self.assertLess(sum(value < found for value in values), share * len(values))
