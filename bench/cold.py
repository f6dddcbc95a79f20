"""Cold images per second: four workloads whose requests no cache can answer, servers measured in alternation.

    python bench/cold.py                                    this repository's imgforge, on drawings
    python bench/cold.py --photos /usr/share/backgrounds/mate/nature --start \\
        --server imgproxy=http://127.0.0.1:8081,4711 --libvips

The photos are those of Debian's package mate-backgrounds. Copy them into one directory, which must also be the root of
local:// sources of the servers that were started by hand. Photos that are missing are replaced by drawings there.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import Contender, RoundSummary, measure_alternately, server_contender
from bench.libvips_baseline import libvips_contender
from bench.load import LoadResult, drive
from bench.output import add_server_arguments, describe_machine, markdown_table, print_progress, write_json
from bench.servers import Server, StartFailed, file_origin, imgforge_server
from bench.workloads import WORKLOADS, Workload, draw_missing_photos, image_path

__all__ = ["main"]

_HEAD = ("server", "images/s", "ratio", "CPU ms/image", "p50 ms", "p95 ms", "p99 ms", "failed")
_cachebusters = itertools.count(int.from_bytes(os.urandom(5)) * 1_000_000)  # no run repeats a URL of another run


@dataclass(frozen=True, slots=True)
class RoundSettings:
    """The number of connections, and the length of a round: *requests* if set, otherwise *seconds*."""

    connections: int
    seconds: float
    requests: int | None

    def drive(self, server: Server, workload: Workload, prefix: str) -> LoadResult:
        """Send one round of *workload* to *server*."""
        paths = _fresh_paths(workload, prefix)
        if self.requests is not None:
            return drive(server.address, itertools.islice(paths, self.requests), connections=self.connections)
        return drive(server.address, paths, connections=self.connections, seconds=self.seconds)


def _fresh_paths(workload: Workload, prefix: str) -> Iterator[str]:
    """Yield new paths of *workload*: they differ in the cachebuster, which does not change the image."""
    for number in _cachebusters:
        yield image_path(f"{workload.options}/cb:{number}", prefix + workload.source, workload.format)


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
    print_progress(workload.title)
    settings = RoundSettings(arguments.connections, arguments.seconds, arguments.requests)
    warm_up = RoundSettings(arguments.connections, 0.0, arguments.connections)
    contenders: list[Contender] = []
    for server in servers:
        if warm_up.drive(server, workload, prefix).failures:
            print_progress(f"  {server.name} does not answer this workload with 200")
        contenders.append(server_contender(server, lambda server: settings.drive(server, workload, prefix)))
    with ExitStack() as stack:
        if arguments.libvips:
            baseline = libvips_contender(photos, workload, arguments.processes, arguments.seconds)
            contenders.append(stack.enter_context(baseline))
        return measure_alternately(contenders, arguments.rounds, servers[0].name)


def _row(summary: RoundSummary) -> tuple[object, ...]:
    cpu = "-" if summary.cpu is None else f"{summary.cpu * 1e3:.1f}"
    latencies = (f"{seconds * 1e3:.0f}" for seconds in (summary.p50, summary.p95, summary.p99))
    return (summary.name, f"{summary.rate:.1f}", f"{summary.ratio:.2f}", cpu, *latencies, summary.failures)


def _print(results: Sequence[tuple[Workload, list[RoundSummary]]]) -> None:
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
    try:
        with ExitStack() as stack:
            drawn, results = _measure(stack, arguments)
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    report = {
        "machine": describe_machine(),
        "drawn": drawn,
        "works": [
            {"work": workload.title, "servers": [asdict(row) for row in summaries]} for workload, summaries in results
        ],
    }
    if not write_json(arguments.json, report):
        _print(results)
    return int(any(row.failures for _, summaries in results for row in summaries))


if __name__ == "__main__":
    sys.exit(main())
