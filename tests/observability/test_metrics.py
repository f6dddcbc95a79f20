"""Metrics: counted in plain numbers, handed over in time, summed over processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Metrics

WORKER = """
import sys
from imgforge.observability import Metrics
metrics = Metrics()
metrics.concurrency_limit(4)
metrics.operation_active("process", 1)
for _ in range(int(sys.argv[1])):
    metrics.answered("GET", "/{*path}", 200, 0.01)
    metrics.cache_hit("memory")
metrics.flush()
if sys.argv[2] == "render":
    print(metrics.render()[0].decode())
"""


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def lines(self) -> list[str]:
        return self.metrics.render()[0].decode().splitlines()

    def test_answers_are_counted_by_status_route_and_time(self) -> None:
        for seconds in (0.002, 0.02, 3.0):
            self.metrics.answered("GET", "/{*path}", 200, seconds)
        self.metrics.answered("GET", "/{*path}", 404, 0.001)
        lines = self.lines()
        self.assertIn('status_codes_total{status="200"} 3.0', lines)
        self.assertIn('http_requests_duration_seconds_count{method="GET",path="/{*path}"} 4.0', lines)
        self.assertIn('http_requests_duration_seconds_bucket{le="0.025",method="GET",path="/{*path}"} 3.0', lines)

    def test_flushing_twice_counts_once(self) -> None:
        self.metrics.cache_hit("memory")
        self.metrics.flush()
        self.metrics.flush()
        self.assertIn('cache_hits_total{cache_type="memory"} 1.0', self.lines())

    def test_invented_methods_make_no_new_series(self) -> None:
        for number in range(50):
            self.metrics.answered(f"M{number}", "/", 405, 0.001)
        self.assertIn('http_requests_duration_seconds_count{method="other",path="/"} 50.0', self.lines())

    def test_operations_come_and_go(self) -> None:
        self.metrics.operation_waiting("process", 1)
        self.assertIn('image_operations_waiting{operation="process"} 1.0', self.lines())
        self.metrics.operation_waiting("process", -1)
        self.metrics.operation_timed("process", 0.1, 0.2, 0.3)
        lines = self.lines()
        self.assertIn('image_operations_waiting{operation="process"} 0.0', lines)
        for name in ("semaphore_wait", "blocking_queue", "execution"):
            self.assertIn(f'image_operation_{name}_duration_seconds_count{{operation="process"}} 1.0', lines)

    def test_processes_are_summed_and_counters_outlive_them(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            environment = dict(os.environ) | {"PROMETHEUS_MULTIPROC_DIR": directory, "PYTHONPATH": ":".join(sys.path)}
            for count, then in ((3, ""), (4, "render")):
                output = subprocess.run(
                    [sys.executable, "-c", WORKER, str(count), then],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
        self.assertIn('cache_hits_total{cache_type="memory"} 7.0', output)
        self.assertIn('http_requests_duration_seconds_count{method="GET",path="/{*path}"} 7.0', output)
