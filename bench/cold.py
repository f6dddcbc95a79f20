"""Cold images per second: four workloads whose requests no cache can answer, servers measured in alternation.

    python bench/cold.py                                    this repository's imgforge, on drawings
    python bench/cold.py --photos /usr/share/backgrounds/mate/nature --start \\
        --server imgproxy=http://127.0.0.1:8081,4711 --libvips

The photos are those of Debian's package mate-backgrounds. Copy them into one directory, which must also be the root of
local:// sources of the servers that were started by hand. Photos that are missing are replaced by drawings there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import RoundSummary
from bench.cold_rounds import RoundSettings, measure_workload, print_workloads, report_workloads
from bench.libvips_baseline import libvips_contender
from bench.output import add_server_arguments, describe_machine, measure_with_servers, print_progress, write_json
from bench.servers import Server, file_origin, imgforge_server
from bench.workloads import WORKLOADS, Workload, draw_missing_photos

__all__ = ["main"]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_server_arguments(parser)
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="directory of the four photos (default: a temporary one)"
    )
    parser.add_argument(
        "--work",
        action="append",
        type=int,
        choices=range(1, len(WORKLOADS) + 1),
        help="only this workload (may be repeated)",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (default: 4)")
    parser.add_argument("--requests", type=int, help="end a round after this number of requests instead")
    parser.add_argument("--connections", type=int, default=8, help="simultaneous requests (default: 8)")
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
    settings = RoundSettings(arguments.connections, arguments.seconds, arguments.requests)
    with ExitStack() as stack:
        others = []
        if arguments.libvips:
            baseline = libvips_contender(photos, workload, arguments.processes, arguments.seconds)
            others.append(stack.enter_context(baseline))
        return measure_workload(workload, servers, [prefix], settings, arguments.rounds, others)


def _measure(
    stack: ExitStack, arguments: argparse.Namespace
) -> tuple[list[str], list[tuple[Workload, list[RoundSummary]]]]:
    """Return the names of the photos that were drawn, and the results of each workload."""
    photos = arguments.photos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    workloads = [WORKLOADS[number - 1] for number in arguments.work] if arguments.work else list(WORKLOADS)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    measured = measure_with_servers(_measure, arguments)
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


if __name__ == "__main__":
    sys.exit(main())
