"""Rounds of the workloads of `cold.py`, `small.py` and `stores.py`: no cache can answer them; and their tables."""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from bench.alternating_rounds import Contender, RoundSummary, measure_alternately, server_contender
from bench.load import LoadResult, drive
from bench.output import markdown_table, print_progress
from bench.servers import Server
from bench.workloads import CACHEBUSTERS, Workload, image_path

__all__ = ["RoundSettings", "add_round_arguments", "measure_workload", "print_workloads", "report_workloads"]

_HEAD = ("server", "images/s", "ratio", "CPU ms/image", "p50 ms", "p95 ms", "p99 ms", "failed")


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """The number of connections, and the length of a round: *requests* if set, otherwise *seconds*."""

    connections: int
    seconds: float
    requests: int | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> RoundSettings:
        """Return what the arguments of `add_round_arguments` say."""
        return cls(arguments.connections, arguments.seconds, arguments.requests)

    def drive(self, server: Server, workload: Workload, prefixes: Sequence[str]) -> LoadResult:
        """Send one round of *workload* to *server*."""
        paths = _fresh_paths(workload, prefixes)
        if self.requests is not None:
            return drive(server.address, itertools.islice(paths, self.requests), connections=self.connections)
        return drive(server.address, paths, connections=self.connections, seconds=self.seconds)


def add_round_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `RoundSettings`."""
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (default: 4)")
    parser.add_argument("--requests", type=int, help="end a round after this number of requests instead")
    parser.add_argument("--connections", type=int, default=8, help="simultaneous requests (default: 8)")


def _fresh_paths(workload: Workload, prefixes: Sequence[str]) -> Iterator[str]:
    """Yield new paths of *workload*: they differ in the cachebuster, which does not change the image."""
    for number in CACHEBUSTERS:
        source = prefixes[number % len(prefixes)] + workload.source
        yield image_path(f"{workload.options}/cb:{number}", source, workload.format)


def measure_workload(
    workload: Workload,
    servers: Sequence[Server],
    prefixes: Sequence[str],
    settings: RoundSettings,
    rounds: int,
    others: Sequence[Contender] = (),
) -> list[RoundSummary]:
    """Measure *servers* and *others* in alternation.

    The workload's source is asked for under each of the *prefixes* in turn: images of one original that are made at the
    same time may share a fetch.
    """
    print_progress(workload.title)
    warm_up = RoundSettings(settings.connections, 0.0, settings.connections)
    contenders: list[Contender] = []
    for server in servers:
        if warm_up.drive(server, workload, prefixes).failures:
            print_progress(f"  {server.name} does not answer this workload with 200")
        contenders.append(server_contender(server, lambda server: settings.drive(server, workload, prefixes)))
    return measure_alternately([*contenders, *others], rounds, servers[0].name)


def _row(summary: RoundSummary) -> tuple[object, ...]:
    cpu = "-" if summary.cpu is None else f"{summary.cpu * 1e3:.2f}"
    latencies = (f"{seconds * 1e3:.1f}" for seconds in (summary.p50, summary.p95, summary.p99))
    return (summary.name, f"{summary.rate:.1f}", f"{summary.ratio:.2f}", cpu, *latencies, summary.failures)


def print_workloads(results: Sequence[tuple[Workload, list[RoundSummary]]]) -> None:
    """Print a table of each workload, and the geometric means of the ratios."""
    for workload, summaries in results:
        print(f"\n{workload.title}\n\n{markdown_table(_HEAD, map(_row, summaries))}")
    by_name: dict[str, list[float]] = {}
    for _, summaries in results:
        for contender in summaries:
            by_name.setdefault(contender.name, []).append(contender.ratio)
    means = (
        (name, f"{statistics.geometric_mean(ratios) if all(ratios) else 0:.2f}") for name, ratios in by_name.items()
    )
    print(f"\nGeometric mean of the ratios\n\n{markdown_table(('server', 'ratio'), means)}")


def report_workloads(results: Sequence[tuple[Workload, list[RoundSummary]]]) -> list[dict[str, object]]:
    """Return *results* for the JSON report."""
    return [{"work": workload.title, "servers": [asdict(row) for row in summaries]} for workload, summaries in results]
