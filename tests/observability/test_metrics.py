"""Metrics: counted in plain numbers, handed over in time, summed over processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Metrics, mark_dead, render_directory

WORKER = """
import sys
from imgforge.observability import Metrics, share_metrics
share_metrics(sys.argv[3], sys.argv[4])
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

    def test_responses_are_counted_by_status_route_and_time(self) -> None:
        for seconds in (0.002, 0.02, 3.0):
            self.metrics.answered("GET", "/{*path}", 200, seconds)
        self.metrics.answered("GET", "/{*path}", 404, 0.001)
        lines = self.lines()
        self.assertIn('status_codes_total{status="200"} 3.0', lines)
        self.assertIn('http_requests_duration_seconds_count{method="GET",path="/{*path}"} 4.0', lines)
        self.assertIn('http_requests_duration_seconds_bucket{le="0.025",method="GET",path="/{*path}"} 3.0', lines)

    @given(st.lists(st.floats(0, 100), max_size=30))
    def test_histogram_equals_one_of_single_observations(self, durations: list[float]) -> None:
        metrics = Metrics()
        bounds = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
        registry = CollectorRegistry()
        labels = ("method", "path")
        one_by_one = Histogram("http_requests_duration_seconds", "", labels, registry=registry, buckets=bounds)
        for seconds in durations:
            metrics.answered("GET", "/", 200, seconds)
            one_by_one.labels("GET", "/").observe(seconds)
        metrics.flush()
        self.assertEqual(self.counts(metrics.registry), self.counts(registry))

    def counts(self, registry: CollectorRegistry) -> set[str]:
        lines = generate_latest(registry).decode().splitlines()
        return {line for line in lines if line.startswith("http_") and "_sum" not in line and "_created" not in line}

    def test_seconds_add_up(self) -> None:
        self.metrics.answered("GET", "/", 200, 0.25)
        self.metrics.answered("GET", "/", 200, 40.0)
        self.assertIn('http_requests_duration_seconds_sum{method="GET",path="/"} 40.25', self.lines())

    def test_responses_of_the_fast_lane_count_as_hits(self) -> None:
        self.metrics.answered_many("GET", "/{*path}", 200, 100, 0.2, "hybrid")
        self.metrics.answered("GET", "/{*path}", 200, 0.002)
        lines = self.lines()
        self.assertIn('cache_hits_total{cache_type="hybrid"} 100.0', lines)
        self.assertIn('status_codes_total{status="200"} 101.0', lines)
        self.assertIn('http_requests_duration_seconds_bucket{le="0.0025",method="GET",path="/{*path}"} 101.0', lines)

    def test_refusals_faults_and_restarts_are_counted_by_reason(self) -> None:
        self.metrics.refused("queue")
        self.metrics.cache_fault("disk", "corrupt")
        self.metrics.worker_restarted()
        self.metrics.access_log_dropped(7)
        lines = self.lines()
        self.assertIn('refusals_total{reason="queue"} 1.0', lines)
        self.assertIn('cache_faults_total{cache_type="disk",fault="corrupt"} 1.0', lines)
        self.assertIn("worker_restarts_total 1.0", lines)
        self.assertIn("access_log_lines_dropped_total 7.0", lines)

    def test_expected_series_are_zero_from_the_start(self) -> None:
        self.metrics.expect(paths=["/{*path}"], caches=["disk"], formats=["webp"], tiers=[("hybrid", "disk")])
        lines = self.lines()
        for expected in (
            'http_requests_duration_seconds_count{method="GET",path="/{*path}"}',
            'status_codes_total{status="200"}',
            'cache_hits_total{cache_type="disk"}',
            'cache_misses_total{cache_type="disk"}',
            'cache_faults_total{cache_type="disk",fault="corrupt"}',
            'cache_faults_total{cache_type="disk",fault="full"}',
            'processed_images_total{format="webp"}',
            'image_processing_duration_seconds_count{format="webp"}',
            'source_images_fetched_total{status="error"}',
            'image_operation_semaphore_wait_duration_seconds_count{operation="process"}',
            'image_operation_blocking_queue_duration_seconds_count{operation="info"}',
            'image_operation_execution_duration_seconds_count{operation="process"}',
        ):
            self.assertIn(f"{expected} 0.0", lines)
        self.assertFalse([line for line in lines if "_created" in line])

    def test_flushing_twice_counts_once(self) -> None:
        self.metrics.cache_hit("memory")
        self.metrics.flush()
        self.metrics.flush()
        self.assertIn('cache_hits_total{cache_type="memory"} 1.0', self.lines())

    def test_unknown_methods_share_one_label(self) -> None:
        for number in range(50):
            self.metrics.answered(f"M{number}", "/", 405, 0.001)
        self.assertIn('http_requests_duration_seconds_count{method="other",path="/"} 50.0', self.lines())

    def test_operations_are_counted_while_they_wait_and_run(self) -> None:
        self.metrics.operation_waiting("process", 1)
        self.assertIn('image_operations_waiting{operation="process"} 1.0', self.lines())
        self.metrics.operation_waiting("process", -1)
        self.metrics.operation_timed("process", 0.1, 0.2, 0.3)
        lines = self.lines()
        self.assertIn('image_operations_waiting{operation="process"} 0.0', lines)
        for name in ("semaphore_wait", "blocking_queue", "execution"):
            self.assertIn(f'image_operation_{name}_duration_seconds_count{{operation="process"}} 1.0', lines)

    def work(self, directory: str, name: str, count: int) -> str:
        """What a process called *name* renders after *count* responses."""
        return subprocess.run(
            [sys.executable, "-c", WORKER, str(count), "render", directory, name],
            env=dict(os.environ) | {"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def test_replacement_of_a_worker_counts_on_in_the_same_files(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            self.work(directory, "0", 3)
            files = sorted(os.listdir(directory))
            mark_dead("0", directory)
            self.assertLess(len(os.listdir(directory)), len(files))  # those of the gauges are gone
            output = self.work(directory, "0", 4)
            self.assertEqual(sorted(os.listdir(directory)), files)
        self.assertIn('cache_hits_total{cache_type="memory"} 7.0', output)
        self.assertIn('http_requests_duration_seconds_count{method="GET",path="/{*path}"} 7.0', output)
        self.assertIn("image_operation_concurrency_limit 4.0", output)

    def test_processes_are_summed_and_counters_outlive_them(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            self.work(directory, "0", 3)
            output = self.work(directory, "1", 4)
            self.assertIn("image_operation_concurrency_limit 8.0", output)
            for name in ("0", "1"):
                mark_dead(name, directory)
            afterwards = render_directory(directory)[0].decode()
        self.assertNotIn("image_operation_concurrency_limit 8.0", afterwards)
        self.assertIn('cache_hits_total{cache_type="memory"} 7.0', afterwards)
        self.assertIn('cache_hits_total{cache_type="memory"} 7.0', output)
        self.assertIn('http_requests_duration_seconds_count{method="GET",path="/{*path}"} 7.0', output)
