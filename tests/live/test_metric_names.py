"""Every metric that docs/operations.md names is exported, those for users of other servers included."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.support.process import ROOT, Twistd, wait_for

OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
# What an expression in PromQL has besides names of metrics.
WORDS = {"sum", "min", "by", "le", "rate", "histogram_quantile"}


def rows(header: str) -> Iterator[list[str]]:
    """The cells of the table that begins with *header*."""
    table = OPERATIONS[OPERATIONS.index(f"\n{header}\n") + 1 :].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names(cell: str) -> set[str]:
    """The metrics in a cell's code, without labels, and without the suffixes of a histogram's series."""
    code = " ".join(re.findall(r"`([^`]+)`", cell))
    found = set(re.findall(r"[a-z_]{3,}", re.sub(r"\{[^}]*\}", "", code))) - WORDS
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.running = Twistd(
            {"PROCESSES": "2", "CACHE_TYPE": "hybrid", "CACHE_DISK_PATH": scratch.name, "ALLOW_UNSIGNED": "true"}
        )
        self.addCleanup(self.running.clean)
        self.running.start()

    def exported(self) -> set[str]:
        text = self.running.get("/metrics").body.decode()
        series = {re.match(r"[a-zA-Z_:]+", line)[0] for line in text.splitlines() if line[:1].isalpha()}  # type: ignore[index]
        return series | {re.sub(r"_(bucket|count|sum)$", "", name) for name in series}

    def test_all_are_exported(self) -> None:
        wait_for(lambda: "cache_disk_entries" in self.exported(), "the janitor's first sweep")
        exported = self.exported()
        ours = [cells[0] for cells in rows("| metric | |")]
        rust, imgproxy = (list(rows(f"| {peer} | here | |")) for peer in ("Rust imgforge", "imgproxy"))
        self.assertEqual((len(rust), len(ours) > 20, len(imgproxy) > 15), (17, True, True))
        for cell in ours + [cells[1] for cells in rust + imgproxy]:
            self.assertTrue(names(cell), cell)
            self.assertEqual(names(cell) - exported, set(), cell)
        # The dashboards of the Rust imgforge find their own names.
        for cells in rust:
            self.assertEqual(names(cells[0]), names(cells[1]))
        # And no metric of ours is left out of the documentation.
        documented = {name for cell in ours for name in names(cell)}
        bare = {re.sub("_(bucket|count|sum)$", "", name) for name in exported}
        self.assertEqual(bare - documented, set())

    def test_the_values_are_those_of_the_processes(self) -> None:
        running = self.running
        for pid in ("parent", "0", "1"):
            for name in ("resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
                figure = f'process_{name}{{pid="{pid}"}}'
                wait_for(lambda figure=figure: running.metric(figure), figure)  # type: ignore[misc]
        resident = running.metric('process_resident_memory_bytes{pid="parent"}') or 0
        self.assertTrue(0.5 < resident / running.resident() < 2)
        self.assertGreater(running.metric("process_cpu_seconds_total") or 0, 0)
        self.assertEqual(running.metric("config_last_reload_successful"), 1)
        self.assertEqual(running.metric("quarantined_sources"), 0)
        build = [line for line in running.get("/metrics").body.decode().splitlines() if "build_info{" in line]
        self.assertEqual(len(build), 1)
        self.assertRegex(build[0], r'^imgforge_build_info{libvips="8\.[\d.]+",python="3\.[\d.]+",twisted="[\d.]+",')
