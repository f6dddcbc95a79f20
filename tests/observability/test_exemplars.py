"""Exemplars: the trace of the latest request of each bucket, over all processes, in OpenMetrics only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Metrics, RequestRecord, Stage, WorkRecord, render_directory

FIRST, SECOND = "4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000abc"
WORKER = """
import sys
from imgforge.observability import Metrics, RequestRecord, share_metrics
directory, name, seconds, trace = sys.argv[1:]
share_metrics(directory, name)
metrics = Metrics(namespace="shop")
metrics.answered("GET", "/{*path}", 200, float(seconds))
metrics.traced(RequestRecord(method="GET", route="/{*path}", ended=float(seconds), trace_id=trace))
metrics.flush()
"""

Shown = dict[tuple[str, str], tuple[str, float]]


def shown(text: bytes) -> Shown:
    """The trace and the value of each exemplar, by histogram and bucket, as Prometheus' own parser reads them."""
    return {
        (family.name, sample.labels["le"]): (sample.exemplar.labels["trace_id"], sample.exemplar.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.exemplar is not None
    }


class OneProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def openmetrics(self) -> bytes:
        self.metrics.flush()
        text, content_type = self.metrics.flushed(openmetrics=True)
        self.assertTrue(content_type.startswith("application/openmetrics-text; version=1.0.0"))
        return text

    def answer(self, seconds: float, trace_id: str = "", *, route: str = "/", method: str = "GET") -> None:
        """Counts a request, as the server does."""
        record = RequestRecord(method=method, route=route, ended=seconds, trace_id=trace_id)
        self.metrics.answered(method, route, 200, seconds)
        self.metrics.traced(record)

    def test_latest_trace_of_each_bucket_is_shown(self) -> None:
        self.answer(0.3, FIRST)
        self.answer(0.4, SECOND)
        self.answer(99.0, FIRST)
        self.answer(0.002)  # is not traced
        name = "http_requests_duration_seconds"
        self.assertEqual(shown(self.openmetrics()), {(name, "0.5"): (SECOND, 0.4), (name, "+Inf"): (FIRST, 99.0)})

    def test_steps_of_a_traced_request_have_exemplars(self) -> None:
        record = RequestRecord(method="BREW", route="/{*path}", ended=9.0, trace_id=FIRST)
        record.join(WorkRecord()).add(Stage.FETCH, 1.0, 1.3)
        record.work.add(Stage.WAIT, 1.3, 1.304)
        record.work.add(Stage.PROCESS, 1.304, 3.0)
        record.work.add("cache", 1.0, 1.2)
        self.metrics.answered("BREW", "/{*path}", 200, 9.0)
        self.metrics.source_fetched(0.3, ok=True)
        self.metrics.operation_timed("process", 0.004, 0.0, 1.7)
        self.metrics.traced(record)
        found = {bucket: round(value, 4) for bucket, (trace, value) in shown(self.openmetrics()).items()}
        self.assertEqual(
            found,
            {
                ("http_requests_duration_seconds", "10.0"): 9.0,
                ("source_image_fetch_duration_seconds", "0.5"): 0.3,
                ("image_operation_semaphore_wait_duration_seconds", "0.005"): 0.004,
                ("image_operation_execution_duration_seconds", "2.5"): 1.696,
            },
        )

    def test_prometheus_format_has_none(self) -> None:
        self.answer(0.3, FIRST)
        text, content_type = self.metrics.render()
        self.assertNotIn(FIRST.encode(), text)
        self.assertTrue(content_type.startswith("text/plain"))

    @given(st.text(max_size=40).filter(lambda text: not text.isalnum()))
    def test_text_that_is_no_trace_id_is_left_out(self, trace_id: str) -> None:
        self.answer(0.3, trace_id)
        self.assertEqual(shown(self.openmetrics()), {})

    def test_number_of_exemplars_is_bounded(self) -> None:
        for number in range(2100):
            self.answer(0.3, FIRST, route=f"/{number}")
        self.assertEqual(len(self.metrics.exemplars.latest()), 2000)


class SeveralProcessesTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name

    def work(self, name: str, seconds: float, trace: str) -> None:
        command = [sys.executable, "-c", WORKER, self.directory, name, str(seconds), trace]
        subprocess.run(command, env=dict(os.environ) | {"PYTHONPATH": ":".join(sys.path)}, check=True)

    def shown(self) -> Shown:
        return shown(render_directory(self.directory, openmetrics=True)[0])

    def test_the_latest_of_all_processes_is_shown(self) -> None:
        self.work("1", 0.3, FIRST)
        self.work("0", 0.4, SECOND)
        name = "shop_http_requests_duration_seconds"
        self.assertEqual(self.shown(), {(name, "0.5"): (SECOND, 0.4)})
        self.work("1", 0.001, FIRST)  # a successor takes over the file
        self.assertEqual(self.shown(), {(name, "0.5"): (SECOND, 0.4), (name, "0.001"): (FIRST, 0.001)})
        files = sorted(path.name for path in Path(self.directory).glob("exemplars*"))
        self.assertEqual(files, ["exemplars_0.json", "exemplars_1.json"])

    def test_malformed_files_are_skipped(self) -> None:
        self.work("0", 0.3, FIRST)
        good = self.shown()
        self.assertEqual(len(good), 1)
        name, labels = "shop_http_requests_duration_seconds", {"method": "GET", "path": "/{*path}"}
        rows = [
            [name, labels, "0.5", 'x"} 1 # {', 0.3, 9e9],
            [name, labels, "0.5", SECOND, float("nan"), 9e9],
            [name, labels, "half", SECOND, 0.3, 9e9],
            [name, labels, "nan", SECOND, 0.3, 9e9],
            [name, labels, "0.5", SECOND, 0.7, 9e9],  # beyond its bucket
            [name, labels, "0.5", SECOND, 0.3, "1e999"],
            [name, 7, "0.5", SECOND, 0.3, 9e9],
            [name, {"method": 7}, [], SECOND, 0.3, 9e9],
            [name, labels, "0.5", SECOND],
            "row",
            [[], labels, "0.5", SECOND, 0.3, 9e9],
            [name, {"method": ["list"]}, "0.5", SECOND, 0.3, 9e9],
        ]
        contents = [*(json.dumps([row]) for row in rows), "{", "[" * 9999, "7", "", "\0" * 9, json.dumps([rows[6]]) * 9]
        for number, content in enumerate(contents):
            Path(self.directory, f"exemplars_x{number}.json").write_text(content)
        too_large = " " * (1 << 20) + json.dumps([[name, labels, "0.5", SECOND, 0.3, 9e9]])
        Path(self.directory, "exemplars_y.json").write_text(too_large)
        self.assertEqual(self.shown(), good)
