"""The program of `cold.py` and `small.py`: workloads whose requests no cache can answer, servers in alternation."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.alternating_rounds import RoundSummary
from bench.cold_rounds import RoundSettings, add_round_arguments, measure_workload, print_workloads, report_workloads
from bench.libvips_baseline import libvips_contender
from bench.output import add_server_arguments, describe_machine, measure_with_servers, print_progress, write_json
from bench.servers import Server, file_origin, imgforge_server
from bench.workloads import Workload, draw_missing_photos

__all__ = ["measure_cold"]


def _arguments(description: str, workloads: Sequence[Workload]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_server_arguments(parser)
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="directory of the pictures (default: a temporary one)"
    )
    parser.add_argument(
        "--work",
        action="append",
        type=int,
        choices=range(1, len(workloads) + 1),
        help="only this workload (may be repeated)",
    )
    add_round_arguments(parser)
    parser.add_argument("--libvips", action="store_true", help="measure libvips alone too, the baseline")
    parser.add_argument(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes of the baseline (default: one per usable CPU)",
    )
    return parser


def _measure_workload(
    workload: Workload, servers: Sequence[Server], photos: Path, prefix: str, arguments: argparse.Namespace
) -> list[RoundSummary]:
    settings = RoundSettings.of(arguments)
    with ExitStack() as stack:
        others = []
        if arguments.libvips:
            baseline = libvips_contender(photos, workload, arguments.processes, arguments.seconds)
            others.append(stack.enter_context(baseline))
        return measure_workload(workload, servers, [prefix], settings, arguments.rounds, others)


def _measure(
    workloads: Sequence[Workload], stack: ExitStack, arguments: argparse.Namespace
) -> tuple[list[str], list[tuple[Workload, list[RoundSummary]]]]:
    """Return the names of the photos that were drawn, and the results of each workload."""
    photos = arguments.photos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    workloads = [workloads[number - 1] for number in arguments.work] if arguments.work else workloads
    drawn = draw_missing_photos(photos, workloads)
    if drawn:
        print_progress(f"these photos are missing and were drawn instead: {', '.join(drawn)} (see --help)")
    servers: list[Server] = list(arguments.server)
    if arguments.start or not servers:
        servers.append(stack.enter_context(imgforge_server(photos, {"IMGFORGE_CACHE_TYPE": "none"})))
    prefix = "local:///" if arguments.sources == "local" else stack.enter_context(file_origin(photos))
    return drawn, [
        (workload, _measure_workload(workload, servers, photos, prefix, arguments)) for workload in workloads
    ]


def measure_cold(description: str, workloads: Sequence[Workload], argv: Sequence[str] | None) -> int:
    """Measure *workloads* as *argv* says and print the result; *description* is for `--help`.

    Returns 1 if an answer was not 200 or a server did not start.
    """
    arguments = _arguments(description, workloads).parse_args(argv)
    measured = measure_with_servers(partial(_measure, workloads), arguments)
    if measured is None:
        return 1
    drawn, results = measured
    report = {
        "machine": describe_machine(),
        "drawn": drawn,
        "works": report_workloads(results),
    }
    if not write_json(arguments.json, report):
        print_workloads(results)
    return int(any(row.failures for _, summaries in results for row in summaries))
