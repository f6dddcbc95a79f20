"""SVG with a text, a pattern or a blur: one after the other, and different badges by several connections.

    python bench/svg.py                                     this repository's imgforge
    python bench/svg.py --documents DIR --start --server imgproxy=http://127.0.0.1:8081,4711

The documents are written to DIR where they are missing; DIR must also be the root of local:// sources of the servers
that were started by hand. Each badge has a text of its own, and no cache can answer a request.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import RoundSummary, measure_alternately, server_contender
from bench.load import LoadResult, drive
from bench.output import (
    add_server_arguments,
    describe_machine,
    markdown_table,
    measure_with_servers,
    print_progress,
    write_json,
)
from bench.servers import Server, file_origin, imgforge_server
from bench.svg_documents import DOCUMENTS, write_badges, write_documents
from bench.workloads import CACHEBUSTERS, image_path

__all__ = ["main"]

_HEAD = ("server", "images/s", "ratio", "CPU ms/image", "p50 ms", "p95 ms", "failed")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_server_arguments(parser)
    parser.add_argument("--documents", type=Path, metavar="DIR", help="their directory (default: a temporary one)")
    parser.add_argument("--requests", type=int, default=200, help="requests of a round (default: 200)")
    parser.add_argument("--badges", type=int, default=2000, help="different badges (default: 2000)")
    parser.add_argument("--connections", type=int, default=8, help="connections that ask for badges (default: 8)")
    return parser


def _paths(sources: Sequence[str], options: str) -> Iterator[str]:
    """Yield new paths of *sources* in turn: the cachebuster does not change the image."""
    for number in CACHEBUSTERS:
        yield image_path(f"{options}/cb:{number}", sources[number % len(sources)], "png")


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> list[tuple[str, list[RoundSummary]]]:
    directory = arguments.documents or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    works = [(f"{name}, one after the other", [file], "rs:fit:200:200", 1) for name, file in DOCUMENTS.items()]
    write_documents(directory)
    badges = write_badges(directory, arguments.badges)
    works.append((f"badges, {arguments.connections} connections", badges, "rs:fit:300:300", arguments.connections))
    servers: list[Server] = list(arguments.server)
    if arguments.start or not servers:
        servers.append(stack.enter_context(imgforge_server(directory, {"IMGFORGE_CACHE_TYPE": "none"})))
    prefix = "local:///" if arguments.sources == "local" else stack.enter_context(file_origin(directory))
    results = []
    for title, files, options, connections in works:
        print_progress(title)
        paths = _paths([prefix + file for file in files], options)

        def load(server: Server, paths: Iterator[str] = paths, connections: int = connections) -> LoadResult:
            return drive(server.address, itertools.islice(paths, arguments.requests), connections=connections)

        for server in servers:
            drive(server.address, itertools.islice(paths, 2 * connections), connections=connections)
        contenders = [server_contender(server, load) for server in servers]
        results.append((title, measure_alternately(contenders, arguments.rounds, servers[0].name)))
    return results


def _row(summary: RoundSummary) -> tuple[object, ...]:
    cpu = "-" if summary.cpu is None else f"{summary.cpu * 1e3:.2f}"
    latencies = f"{summary.p50 * 1e3:.1f}", f"{summary.p95 * 1e3:.1f}"
    return (summary.name, f"{summary.rate:.1f}", f"{summary.ratio:.2f}", cpu, *latencies, summary.failures)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    results = measure_with_servers(_measure, arguments)
    if results is None:
        return 1
    works = [{"work": title, "servers": [asdict(row) for row in rows]} for title, rows in results]
    if not write_json(arguments.json, {"machine": describe_machine(), "works": works}):
        for title, rows in results:
            print(f"\n{title}\n\n{markdown_table(_HEAD, map(_row, rows))}")
    return int(any(row.failures for _, rows in results for row in rows))


if __name__ == "__main__":
    sys.exit(main())
