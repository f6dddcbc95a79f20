"""What a process is and has at the moment, over one process and over several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import Metrics, mark_dead, render_directory

# A process called argv[2] that has seen a disk tier of so many bytes.
PROCESS = """
import sys
from imgforge.observability import Metrics, share_metrics
share_metrics(sys.argv[1], sys.argv[2])
metrics = Metrics()
sum(range(3_000_000))  # takes CPU time
metrics.state.update_process()
metrics.state.memory_tier("hybrid", 100, 2)
metrics.state.memory_limit(5000)
metrics.state.disk_tier("hybrid", int(sys.argv[3]), 7, 50)
metrics.state.disk_tier("originals", 9, 1)
metrics.state.load(connections=3, requests=1, images=1, fetches=1, memory_waits=0)
metrics.state.build(version="1", libvips="8", python="3", twisted="26")
if sys.argv[2] == "parent":
    metrics.state.reloaded(1000.0, worked=True)
    metrics.state.quarantined(4)
    metrics.state.workers(2)
"""


class OneProcessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics(namespace="shop")

    def rendered(self) -> str:
        return self.metrics.render()[0].decode()

    def test_process_metrics_have_the_standard_names(self) -> None:
        self.metrics.state.update_process()
        for name in (
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
        ):
            value = re.search(rf"(?m)^shop_{name} (\S+)$", self.rendered())
            self.assertIsNotNone(value, name)
            self.assertGreater(float(value[1]), 0, name)  # type: ignore[index]

    def test_cpu_time_is_counted_once(self) -> None:
        self.metrics.state.update_process()
        self.metrics.state.update_process()
        (text,) = re.findall(r"(?m)^shop_process_cpu_seconds_total (\S+)$", self.rendered())
        times = os.times()
        self.assertLessEqual(
            round(float(text), 2), round(times.user + times.system + times.children_user + times.children_system, 2)
        )

    def test_decoder_processes_are_counted(self) -> None:
        for started in (2.0, 5.0):
            self.metrics.state.decoders(processes=2.0, memory_bytes=7.0, started=started)
        for line in ("processes 2.0", "processes_memory_bytes 7.0", "processes_started_total 5.0"):
            self.assertIn(f"\nshop_decoder_{line}\n", self.rendered())

    def test_libvips_figures_also_have_the_rust_imgforges_names(self) -> None:
        self.metrics.state.vips({"memory_bytes": 1.0, "memory_highwater_bytes": 2.0, "allocations": 3.0})
        for name, value in (
            ("memory_bytes", 1),
            ("memory_highwater_bytes", 2),
            ("allocations", 3),
            ("tracked_mem_bytes", 1),
            ("tracked_mem_highwater_bytes", 2),
            ("tracked_allocs", 3),
        ):
            self.assertIn(f"\nshop_vips_{name} {value}.0\n", self.rendered())

    def test_hits_are_counted_by_tier(self) -> None:
        self.metrics.cache_hit("hybrid", "disk")
        self.metrics.answered_many("GET", "/", 200, 5, 0.1, "hybrid")
        for tier, count in (("disk", 1), ("memory", 5)):
            self.assertIn(
                f'shop_cache_tier_hits_total{{cache_type="hybrid",tier="{tier}"}} {count}.0\n', self.rendered()
            )
        self.assertIn('shop_cache_hits_total{cache_type="hybrid"} 6.0\n', self.rendered())


class SeveralProcessesTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name

    def run_one(self, name: str, disk_bytes: int) -> None:
        subprocess.run(
            [sys.executable, "-c", PROCESS, self.directory, name, str(disk_bytes)],
            env=dict(os.environ) | {"PYTHONPATH": ":".join(sys.path)},
            check=True,
        )

    def rendered(self) -> str:
        return render_directory(self.directory)[0].decode()

    def test_each_gauge_is_combined_by_its_meaning(self) -> None:
        for name, disk_bytes in (("parent", 10), ("0", 30), ("1", 20)):
            self.run_one(name, disk_bytes)
        text = self.rendered()
        for name in ("parent", "0", "1"):
            self.assertRegex(text, rf'(?m)^process_open_fds{{pid="{name}"}} [1-9]')
        self.assertIn("\nclient_connections 9.0\n", text)
        self.assertIn('\ncache_memory_bytes{cache_type="hybrid"} 300.0\n', text)
        self.assertIn('\ncache_disk_bytes{cache_type="hybrid"} 20.0\n', text)  # the last value set
        self.assertEqual(
            re.findall("(?m)^cache_disk_limit_bytes.*$", text), ['cache_disk_limit_bytes{cache_type="hybrid"} 50.0']
        )
        self.assertIn("\nmemory_limit_bytes 5000.0\n", text)
        self.assertIn("\nworker_processes_expected 2.0\n", text)
        self.assertIn('{libvips="8",python="3",twisted="26",version="1"} 1.0\n', text)
        self.assertIn("\nconfig_last_reload_successful 1.0\n", text)
        self.assertIn("\nconfig_last_reload_timestamp_seconds 1000.0\n", text)
        self.assertIn("\nquarantined_sources 4.0\n", text)

    def test_ended_processes_are_not_shown_and_their_cpu_time_is_kept(self) -> None:
        def cpu() -> float:
            (text,) = re.findall(r"(?m)^process_cpu_seconds_total (\S+)$", self.rendered())
            return float(text)

        self.run_one("0", 1)
        before = cpu()
        mark_dead("0", self.directory)
        self.assertNotIn('pid="0"', self.rendered())
        self.assertEqual(cpu(), before)
        self.run_one("0", 1)  # its successor
        self.assertGreater(cpu(), before)
