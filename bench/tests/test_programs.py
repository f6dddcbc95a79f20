"""The programs of `bench/`, run for a moment on this repository's own server."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from bench import chart, cold, compare, entries, hits, overload, soak, start, trace
from bench.pictures import draw_all, draw_photo
from bench.servers import imgforge_server
from bench.workloads import WORKLOADS

_SVG = "{http://www.w3.org/2000/svg}"


class ProgramTests(SynchronousTestCase):
    """Each test starts a server of its own and reads the JSON report."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def _report(self, program: Callable[[Sequence[str]], int], words: str) -> Any:
        output, progress = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(progress):
            status = program([*shlex.split(words), "--json", "-"])
        self.assertEqual(status, 0, progress.getvalue() + output.getvalue())
        return json.loads(output.getvalue())

    def test_entries_are_counted_and_their_directories_removed(self) -> None:
        output = StringIO()
        with redirect_stdout(output):
            self.assertEqual(entries.main(["--directory", str(self.root), "--entries", "50", "--rounds", "1"]), 0)
        self.assertEqual([row["entries"] for row in json.loads(output.getvalue())], [50])
        self.assertEqual(list(self.root.iterdir()), [])

    def test_cold_images_cost_time_and_none_fails(self) -> None:
        (self.root / WORKLOADS[0].source).write_bytes(draw_photo(640, 400, grain=3, quality=80))
        load = "--rounds 1 --requests 9 --libvips --seconds 0.2 --processes 1"
        report = self._report(cold.main, f"--photos {self.root} --work 1 {load}")
        ours, libvips = report["works"][0]["servers"]
        self.assertEqual((ours["name"], ours["answers"], ours["failures"], ours["ratio"]), ("imgforge", 9, 0, 1.0))
        self.assertGreater(ours["cpu"], 0)
        self.assertGreater(libvips["answers"], 0)
        self.assertEqual(report["drawn"], [])

    def test_hits_are_measured_with_and_without_nginx_before_us(self) -> None:
        nginx = "--nginx" if shutil.which("nginx") else ""
        report = self._report(hits.main, f"--rounds 1 --seconds 0.2 --connections 4 --generator own {nginx}")
        self.assertEqual(len(report["servers"]), 2 if nginx else 1)
        for row in report["servers"]:
            self.assertGreater(row["answers"], 0)
            self.assertEqual(row["failures"], 0)

    def test_a_trace_counts_hits_fetches_and_memory(self) -> None:
        (self.root / "a.jpg").write_bytes(draw_photo(1300, 900, grain=9, quality=90))
        traffic = f"--photos {self.root} --requests 40 --originals 2 --widths 40,60 --formats jpeg:1 --latency 0"
        nginx = "--nginx" if shutil.which("nginx") else ""
        report = self._report(trace.main, f"{traffic} --connections 1 --libvips {nginx}")
        self.assertEqual(report["distinct"], 4)
        self.assertGreater(report["ceiling"], 0.0)
        (row,) = report["servers"]
        self.assertEqual((row["hits"], row["failures"]), (0.9, 0))
        self.assertGreaterEqual(row["fetches"], 2)
        self.assertGreater(row["cpu"], 0)
        self.assertGreaterEqual(row["peak"], row["after"])

    def test_what_is_beyond_capacity_is_refused_and_counted_apart(self) -> None:
        report = self._report(overload.main, "--seconds 1 --factors 0.1 8")
        calm, flood = report["loads"]
        self.assertEqual((calm["factor"], calm["failures"], flood["failures"]), (0.1, 0, 0))
        self.assertGreater(flood["refused"], 0.0)
        self.assertGreater(flood["made"], 0.0)
        self.assertGreater(calm["hit_p99"], 0.0)
        self.assertGreater(calm["status_p99"], 0.0)

    def test_a_start_is_timed_up_to_the_first_image(self) -> None:
        (one,) = self._report(start.main, "--rounds 1")["starts"]
        self.assertTrue(0 < one["listens"] < one["answers"] < one["image"])
        self.assertGreater(one["cpu"], 0)

    def test_hostility_spoils_no_good_answer_and_a_kill_is_outlived(self) -> None:
        plot = self.root / "soak.svg"
        report = self._report(soak.main, f"--minutes 0.1 --kill-every 2 --good 2 --hostile 3 --plot {plot}")
        self.assertEqual((report["wrong"], report["slopes"]["wrong answers"]["last"]), ([], 0))
        self.assertGreater(report["acts"]["hit"]["done"], 0)
        self.assertGreater(report["kills"], 0)
        for name, row in report["slopes"].items():
            self.assertTrue(0 < row["last"] <= row["most"] or name == "wrong answers", (name, row))
        drawn = ElementTree.parse(plot).getroot()  # noqa: S314  our own
        self.assertEqual(drawn.tag, f"{_SVG}svg")

    def test_what_was_measured_becomes_a_picture(self) -> None:
        server = {"name": "<ours>", "rate": 10.0, "cpu": 0.00002}
        load = {"factor": 1.0, "p50": 0.01, "p99": 0.02, "refused_p99": 0.001, "hit_p99": 0.002}
        reports = {
            "hits": {"servers": [server]},
            "cold": {"works": [{"work": "a.jpg", "servers": [server]}]},
            "overload": {"loads": [load, load | {"factor": 2.0}]},
        }
        words: list[str] = []
        for name, report in reports.items():
            (self.root / name).write_text(json.dumps(report))
            words += [f"--{name}", str(self.root / name)]
        output = StringIO()
        with redirect_stdout(output):
            self.assertEqual(chart.main(words), 0)
        drawn = ElementTree.fromstring(output.getvalue())  # noqa: S314  our own
        texts = [text.text for text in drawn.iter(f"{_SVG}text")]
        for text in ("<ours>", "50,000", "a.jpg: <ours>", "10.0", "latency in ms"):
            self.assertIn(text, texts)

    def test_wrk_measures_the_same_thing(self) -> None:
        if not shutil.which("wrk"):
            raise SkipTest("wrk is not installed")
        report = self._report(hits.main, "--rounds 1 --seconds 1 --connections 4 --generator wrk")
        self.assertGreater(report["servers"][0]["answers"], 0)

    def test_nothing_differs_between_a_server_and_itself(self) -> None:
        draw_all(self.root)
        with imgforge_server(self.root, {}) as server:
            servers = f"--peer {server.url} --ours {server.url}"
            report = self._report(compare.main, f"{servers} --local-root {self.root} --only tiny --only path")
        self.assertEqual(report["totals"]["same"], len(report["rows"]))
        self.assertGreater(len(report["rows"]), 20)
