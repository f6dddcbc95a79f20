"""Cold images per second: four works, every request one that no cache can answer, servers measured in turns.

    python bench/cold.py                                    this repository's imgforge, on drawn stand-ins
    python bench/cold.py --photos /usr/share/backgrounds/mate/nature --start \\
        --server imgproxy=http://127.0.0.1:8081,4711 --libvips

The photos are those of Debian's package mate-backgrounds (copy them into one directory, which is also the root of
local:// sources of the servers that were started by hand). Photos that are missing are drawn in that directory.
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
_serial = itertools.count(int.from_bytes(os.urandom(5)) * 1_000_000)  # no run repeats a URL of another run


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a round is, and from how many connections: *requests* if given, else *seconds*."""

    connections: int
    seconds: float
    requests: int | None

    def of(self, server: Server, work: Workload, prefix: str) -> LoadResult:
        """One round of *work* on *server*."""
        paths = _fresh_paths(work, prefix)
        if self.requests is not None:
            return drive(server.address, itertools.islice(paths, self.requests), connections=self.connections)
        return drive(server.address, paths, connections=self.connections, seconds=self.seconds)


def _fresh_paths(work: Workload, prefix: str) -> Iterator[str]:
    """Paths of *work* that were never asked for; the cachebuster makes them different, not the image."""
    for number in _serial:
        yield image_path(f"{work.options}/cb:{number}", prefix + work.source, work.format)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_server_arguments(parser)
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="directory of the four photos (default: a temporary one)"
    )
    parser.add_argument(
        "--work", action="append", type=int, choices=range(1, len(WORKLOADS) + 1), help="only this work, several times"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (default: 4)")
    parser.add_argument("--requests", type=int, help="end a round after so many requests instead")
    parser.add_argument("--connections", type=int, default=8, help="simultaneous requests (default: 8)")
    parser.add_argument("--libvips", action="store_true", help='measure the yardstick, "libvips alone", too')
    parser.add_argument(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes of the yardstick (default: one per usable CPU)",
    )
    return parser


def _measure_work(
    work: Workload, servers: Sequence[Server], photos: Path, prefix: str, arguments: argparse.Namespace
) -> list[RoundSummary]:
    print_progress(f"{work.title}")
    measure = Measure(arguments.connections, arguments.seconds, arguments.requests)
    warm_up = Measure(arguments.connections, 0.0, arguments.connections)
    contenders: list[Contender] = []
    for server in servers:
        if warm_up.of(server, work, prefix).failures:
            print_progress(f"  {server.name} does not answer this work with 200")
        contenders.append(server_contender(server, lambda server: measure.of(server, work, prefix)))
    with ExitStack() as stack:
        if arguments.libvips:
            yardstick = libvips_contender(photos, work, arguments.processes, arguments.seconds)
            contenders.append(stack.enter_context(yardstick))
        return measure_alternately(contenders, arguments.rounds, servers[0].name)


def _row(figures: RoundSummary) -> tuple[object, ...]:
    cpu = "-" if figures.cpu is None else f"{figures.cpu * 1e3:.1f}"
    latencies = (f"{seconds * 1e3:.0f}" for seconds in (figures.p50, figures.p95, figures.p99))
    return (figures.name, f"{figures.rate:.1f}", f"{figures.ratio:.2f}", cpu, *latencies, figures.failures)


def _print(results: Sequence[tuple[Workload, list[RoundSummary]]]) -> None:
    for work, figures in results:
        print(f"\n{work.title}\n\n{markdown_table(_HEAD, map(_row, figures))}")
    by_name: dict[str, list[float]] = {}
    for _, figures in results:
        for contender in figures:
            by_name.setdefault(contender.name, []).append(contender.ratio)
    means = (
        (name, f"{statistics.geometric_mean(ratios) if all(ratios) else 0:.2f}") for name, ratios in by_name.items()
    )
    print(f"\nGeometric mean of the ratios\n\n{markdown_table(('server', 'ratio'), means)}")


def _measure(
    stack: ExitStack, arguments: argparse.Namespace
) -> tuple[list[str], list[tuple[Workload, list[RoundSummary]]]]:
    """The names of the stand-ins drawn, and the figures of each work."""
    photos = arguments.photos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    works = [WORKLOADS[number - 1] for number in arguments.work] if arguments.work else list(WORKLOADS)
    drawn = draw_missing_photos(photos, works)
    if drawn:
        print_progress(f"drawn, not photographed: {', '.join(drawn)} (see --help)")
    servers: list[Server] = list(arguments.server)
    if arguments.start or not servers:
        servers.append(stack.enter_context(imgforge_server(photos, {"IMGFORGE_CACHE_TYPE": "none"})))
    prefix = "local:///" if arguments.sources == "local" else stack.enter_context(file_origin(photos))
    return drawn, [(work, _measure_work(work, servers, photos, prefix, arguments)) for work in works]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what *argv* names and print it; 1 where an answer was not 200 or a server did not start."""
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
        "works": [{"work": work.title, "servers": [asdict(row) for row in figures]} for work, figures in results],
    }
    if not write_json(arguments.json, report):
        _print(results)
    return int(any(row.failures for _, figures in results for row in figures))


if __name__ == "__main__":
    sys.exit(main())
