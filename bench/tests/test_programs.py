"""Every program of bench/, run for a moment on this repository's own server."""

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

from bench import (
    chart,
    cold,
    compare,
    entries,
    faults,
    hits,
    http2,
    instructions,
    overload,
    prerender,
    public,
    reload,
    sign,
    small,
    soak,
    start,
    stores,
    svg,
    trace,
    tracing,
)
from bench.callgrind import missing_programs
from bench.instruction_counts import ExpectedCounts, environment, write_counts
from bench.pictures import draw_all, draw_photo
from bench.servers import imgforge_server
from bench.stores import STORE_WORKLOADS
from bench.workloads import SMALL_WORKLOADS, WORKLOADS

_SVG = "{http://www.w3.org/2000/svg}"


class ProgramTests(SynchronousTestCase):
    """Each test starts a server of its own and reads the JSON report."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def _report(self, program: Callable[[Sequence[str]], int], arguments: str) -> Any:
        output, progress = StringIO(), StringIO()
        with redirect_stdout(output), redirect_stderr(progress):
            status = program([*shlex.split(arguments), "--json", "-"])
        self.assertEqual(status, 0, progress.getvalue() + output.getvalue())
        return json.loads(output.getvalue())

    def test_entries_reports_each_number_and_removes_its_directories(self) -> None:
        output = StringIO()
        with redirect_stdout(output):
            self.assertEqual(entries.main(["--directory", str(self.root), "--entries", "50", "--rounds", "1"]), 0)
        self.assertEqual([row["entries"] for row in json.loads(output.getvalue())], [50])
        self.assertEqual(list(self.root.iterdir()), [])

    def test_sign_measures_batches_of_every_format_and_a_loop(self) -> None:
        report = self._report(sign.main, "--paths 200 --rounds 1")
        self.assertEqual([program["lines"] for program in report["programs"]], [200] * 5)
        self.assertTrue(all(program["cpu"] > 0 for program in report["programs"]))

    def test_cold_measures_us_and_libvips_without_failures(self) -> None:
        (self.root / WORKLOADS[0].source).write_bytes(draw_photo(640, 400, grain=3, quality=80))
        load = "--rounds 1 --requests 9 --libvips --seconds 0.2 --processes 1"
        report = self._report(cold.main, f"--photos {self.root} --work 1 {load}")
        ours, libvips = report["works"][0]["servers"]
        self.assertEqual((ours["name"], ours["answers"], ours["failures"], ours["ratio"]), ("imgforge", 9, 0, 1.0))
        self.assertGreater(ours["cpu"], 0)
        self.assertGreater(libvips["answers"], 0)
        self.assertEqual(report["drawn"], [])

    def test_small_measures_us_and_libvips_without_failures(self) -> None:
        report = self._report(small.main, "--rounds 1 --requests 9 --libvips --seconds 0.2 --processes 1")
        self.assertEqual(len(report["works"]), 3)
        for work in report["works"]:
            ours, libvips = work["servers"]
            self.assertEqual((ours["name"], ours["answers"], ours["failures"]), ("imgforge", 9, 0))
            self.assertGreater(libvips["answers"], 0)

    def test_tracing_measures_each_share_of_sampled_requests(self) -> None:
        report = self._report(tracing.main, "--rounds 1 --hits 200 --images 5")
        self.assertEqual(set(report["microseconds"]), {"hit", "small image"})
        for row in report["microseconds"].values():
            self.assertEqual(set(row), {"off", "0%", "1%", "100%"})
            self.assertTrue(all(taken > 0 for taken in row.values()))

    def test_prerender_makes_every_image_with_any_number_of_workers(self) -> None:
        report = self._report(prerender.main, "--images 6 --width 320 --most 2")
        self.assertEqual([(row["workers"], row["threads"]) for row in report["rows"]], [(1, 1), (2, 1), (1, 2)])
        self.assertEqual({row["images"] for row in report["rows"]}, {6})

    def _count_engine(self, expected: ExpectedCounts, *arguments: str) -> tuple[int, str]:
        """Return the status of instructions.py for one work of the engine, and what it says besides its tables."""
        write_counts(self.root / "expected", expected)
        options = ["--only", "engine: small", "--times", "1", "--repeats", "1"]
        progress = StringIO()
        with redirect_stdout(StringIO()), redirect_stderr(progress):
            status = instructions.main([*options, "--expected", str(self.root / "expected"), *arguments])
        return status, progress.getvalue()

    def test_instructions_fails_if_a_count_is_above_the_expected_one(self) -> None:
        if missing_programs():
            raise SkipTest("valgrind is not installed")
        name = f"engine: {SMALL_WORKLOADS[0].title}"
        status, said = self._count_engine(ExpectedCounts(environment(), {name: 1_000_000}), "--check")
        self.assertEqual(status, 1, said)
        self.assertIn("more than the expected 1,000,000", said)

    def test_instructions_does_not_compare_counts_of_another_environment(self) -> None:
        if missing_programs():
            raise SkipTest("valgrind is not installed")
        status, said = self._count_engine(ExpectedCounts(environment() | {"python": "2.7"}, {"hit": 1}), "--check")
        self.assertEqual(status, 0, said)
        self.assertIn("2.7", said)

    def test_public_measures_us_in_the_format_that_is_chosen(self) -> None:
        report = self._report(public.main, f"--photos {self.root} --images 1 --format jpg --rounds 1 --requests 3")
        ((ours,),) = (work["servers"] for work in report["works"])
        self.assertEqual((ours["rounds"]["name"], ours["rounds"]["answers"]), ("imgforge", 3))
        self.assertEqual((ours["rounds"]["failures"], report["drawn"], ours["published"]), (0, 1, None))
        self.assertGreater(ours["weight"], 10_000)

    def test_svg_measures_documents_and_badges_without_failures(self) -> None:
        report = self._report(svg.main, "--rounds 1 --requests 9 --badges 5 --connections 2")
        self.assertEqual(len(report["works"]), 6)
        for work in report["works"]:
            (ours,) = work["servers"]
            self.assertEqual((ours["name"], ours["answers"], ours["failures"]), ("imgforge", 9, 0))
            self.assertGreater(ours["cpu"], 0)

    def test_stores_measures_us_with_originals_from_a_bucket(self) -> None:
        report = self._report(stores.main, "--work 0 --rounds 1 --requests 9")
        self.assertEqual((report["works"][0]["work"], report["drawn"]), (STORE_WORKLOADS[0].title, ["Small.jpg"]))
        (ours,) = report["works"][0]["servers"]
        self.assertEqual((ours["name"], ours["answers"], ours["failures"], ours["ratio"]), ("imgforge", 9, 0, 1.0))
        self.assertIn(report["store"], ("versitygw", "moto"))

    def test_faults_counts_the_requests_that_failed_and_were_sent_again(self) -> None:
        harm = '--share 0.1 --fault 500 --fault "reset in the body" --fault "truncated body"'
        load = "--images 100 --rounds 1 --connections 4 --originals 20 --hedge auto"
        (result,) = self._report(faults.main, f"{load} {harm}")["hedges"]
        injected = sum(result["injected"].values())
        self.assertGreater(injected, 0)
        self.assertLessEqual(set(result["injected"]), {"500", "reset in the body", "truncated body"})
        self.assertGreaterEqual(result["succeeded"], 0.9)
        self.assertEqual(result["load"]["answers"], round(100 * result["succeeded"]))
        self.assertEqual(result["requests"], round(100 * (1 + result["more_requests"])))
        self.assertGreaterEqual(result["requests"], 100 + injected - result["load"]["failures"])

    def test_http2_names_the_protocols_of_both_settings(self) -> None:
        if not shutil.which("nginx"):
            raise SkipTest("nginx is not installed")
        report = self._report(http2.main, "--size 3000 --requests 20 --rounds 1 --connections 4")
        (size,) = report["sizes"]
        self.assertEqual([row["name"] for row in size["rounds"]], ["off", "auto"])
        self.assertEqual([(row["answers"], row["failures"]) for row in size["rounds"]], [(20, 0)] * 2)
        self.assertEqual(size["protocols"]["off"]["requests"], {"HTTP/1.1": 20})
        self.assertEqual(size["protocols"]["auto"]["requests"], {"HTTP/2.0": 20})

    def test_hits_measures_us_and_nginx_in_front_of_us(self) -> None:
        nginx = "--nginx" if shutil.which("nginx") else ""
        report = self._report(hits.main, f"--rounds 1 --seconds 0.2 --connections 4 --generator own {nginx}")
        self.assertEqual(len(report["servers"]), 2 if nginx else 1)
        for row in report["servers"]:
            self.assertGreater(row["answers"], 0)
            self.assertEqual(row["failures"], 0)

    def test_trace_counts_hits_fetches_and_memory(self) -> None:
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

    def test_overload_counts_refusals_separately_from_failures(self) -> None:
        report = self._report(overload.main, "--seconds 1 --factors 0.1 8")
        below, beyond = report["loads"]
        self.assertEqual((below["factor"], below["failures"], beyond["failures"]), (0.1, 0, 0))
        self.assertGreater(beyond["refused"], 0.0)
        self.assertGreater(beyond["made"], 0.0)
        self.assertGreater(below["hit_p99"], 0.0)
        self.assertGreater(below["status_p99"], 0.0)

    def test_start_measures_the_time_until_the_first_image(self) -> None:
        (times,) = self._report(start.main, "--rounds 1")["starts"]
        self.assertTrue(0 < times["listens"] < times["answers"] < times["image"])
        self.assertGreater(times["cpu"], 0)

    def test_reload_replaces_all_workers_and_no_request_fails(self) -> None:
        measured = self._report(reload.main, "--seconds 6 --hits 50 --misses 5")["reload"]
        self.assertEqual([phase["name"] for phase in measured["phases"]], ["before", "during", "after"])
        self.assertEqual(measured["failed"], 0)
        self.assertGreater(measured["seconds"], 0)
        for phase in measured["phases"][:2]:
            self.assertGreater(sum(phase["bins"]), 0)
            self.assertLess(0, phase["hit_p50"])

    def test_soak_has_no_wrong_answer_despite_hostile_clients_and_kills(self) -> None:
        plot = self.root / "soak.svg"
        report = self._report(soak.main, f"--minutes 0.1 --kill-every 2 --good 2 --hostile 3 --plot {plot}")
        self.assertEqual((report["wrong"], report["slopes"]["wrong answers"]["last"]), ([], 0))
        self.assertGreater(report["acts"]["hit"]["done"], 0)
        self.assertGreater(report["kills"], 0)
        for name, row in report["slopes"].items():
            self.assertTrue(0 < row["last"] <= row["most"] or name == "wrong answers", (name, row))
        drawn = ElementTree.parse(plot).getroot()  # noqa: S314  our own SVG
        self.assertEqual(drawn.tag, f"{_SVG}svg")

    def test_chart_draws_the_figures_of_all_reports(self) -> None:
        server = {"name": "<ours>", "rate": 10.0, "cpu": 0.00002}
        load = {"factor": 1.0, "p50": 0.01, "p99": 0.02, "refused_p99": 0.001, "hit_p99": 0.002}
        reports = {
            "hits": {"servers": [server]},
            "cold": {"works": [{"work": "a.jpg", "servers": [server]}]},
            "overload": {"loads": [load, load | {"factor": 2.0}]},
        }
        arguments: list[str] = []
        for name, report in reports.items():
            (self.root / name).write_text(json.dumps(report))
            arguments += [f"--{name}", str(self.root / name)]
        output = StringIO()
        with redirect_stdout(output):
            self.assertEqual(chart.main(arguments), 0)
        drawn = ElementTree.fromstring(output.getvalue())  # noqa: S314  our own SVG
        texts = [text.text for text in drawn.iter(f"{_SVG}text")]
        for text in ("<ours>", "50,000", "a.jpg: <ours>", "10.0", "latency in ms"):
            self.assertIn(text, texts)

    def test_hits_measures_with_wrk(self) -> None:
        if not shutil.which("wrk"):
            raise SkipTest("wrk is not installed")
        report = self._report(hits.main, "--rounds 1 --seconds 1 --connections 4 --generator wrk")
        self.assertGreater(report["servers"][0]["answers"], 0)

    def test_compare_finds_no_difference_between_a_server_and_itself(self) -> None:
        draw_all(self.root)
        with imgforge_server(self.root, {}) as server:
            servers = f"--peer {server.url} --ours {server.url}"
            report = self._report(compare.main, f"{servers} --local-root {self.root} --only tiny --only path")
        self.assertEqual(report["totals"]["same"], len(report["rows"]))
        self.assertGreater(len(report["rows"]), 20)
