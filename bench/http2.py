"""Originals over HTTP/1.1 and over HTTP/2 from one server with TLS: fetches per second, and CPU per fetch.

    python bench/http2.py                                   64 at once, of 20 kB and of 200 kB, handed on as they are
    python bench/http2.py --operation rs:fit:16:16          the same, and a tiny image made of each
    python bench/http2.py --connections 8 --size 1000000

This repository's imgforge is measured with IMGFORGE_SOURCE_HTTP2=off and auto, in alternating rounds, without any
cache. The origin is nginx, which also says which protocol and how many connections it saw.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import RoundSummary, measure_alternately, server_contender
from bench.http2_origin import Http2Origin, Protocols, http2_origin
from bench.load import LoadResult, drive
from bench.output import (
    add_json_argument,
    describe_machine,
    markdown_table,
    measure_with_servers,
    print_progress,
    write_json,
)
from bench.pictures import draw_photo
from bench.servers import Server, imgforge_server
from bench.workloads import CACHEBUSTERS, image_path

__all__ = ["main"]

_HEAD = ("HTTP/2", "fetches/s", "ratio", "CPU ms/fetch", "p50 ms", "p99 ms", "failed", "protocols", "connections")
_ORIGINALS = 256  # so that no two requests under way share one


@dataclass(frozen=True, slots=True)
class SizeResult:
    """The rounds with originals of about *size* bytes; `protocols` by the value of IMGFORGE_SOURCE_HTTP2."""

    size: int
    rounds: list[RoundSummary]
    protocols: dict[str, Protocols]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", action="append", type=int, help="bytes of an original (may be repeated; default: 20000, 200000)"
    )
    parser.add_argument("--operation", default="raw:1", help="processing options of the images (default: raw:1)")
    parser.add_argument("--connections", type=int, default=64, help="simultaneous requests (default: 64)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each setting, in alternation (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (default: 4)")
    parser.add_argument("--requests", type=int, help="end a round after this number of requests instead")
    add_json_argument(parser)
    return parser


def _draw_originals(directory: Path, size: int) -> None:
    """Write `_ORIGINALS` JPEGs of about *size* bytes: a small picture with bytes after its end."""
    picture = draw_photo(160, 120, grain=4, quality=85)
    for number in range(_ORIGINALS):
        (directory / f"{size}-{number}.jpg").write_bytes(picture.ljust(size, b"\0"))


def _fresh_paths(origin: Http2Origin, size: int, operation: str) -> Iterator[str]:
    for number in CACHEBUSTERS:
        yield image_path(f"{operation}/cb:{number}", f"{origin.url}/{size}-{number % _ORIGINALS}.jpg", "")


def _measure_size(
    size: int, servers: Sequence[Server], origin: Http2Origin, arguments: argparse.Namespace
) -> SizeResult:
    print_progress(f"{size} bytes")
    protocols: dict[str, Protocols] = {}

    def load(server: Server) -> LoadResult:
        paths = _fresh_paths(origin, size, arguments.operation)
        origin.take_protocols()
        if arguments.requests is not None:
            paths = itertools.islice(paths, arguments.requests)
        seconds = arguments.seconds if arguments.requests is None else float("inf")
        result = drive(server.address, paths, connections=arguments.connections, seconds=seconds)
        protocols[server.name] = origin.take_protocols()
        return result

    for server in servers:  # connections are open then
        warm_up = itertools.islice(_fresh_paths(origin, size, arguments.operation), arguments.connections)
        drive(server.address, warm_up, connections=arguments.connections)
    contenders = [server_contender(server, load) for server in servers]
    return SizeResult(size, measure_alternately(contenders, arguments.rounds, servers[0].name), protocols)


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> list[SizeResult]:
    root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    sizes = arguments.size or [20_000, 200_000]
    for size in sizes:
        _draw_originals(root, size)
    origin = stack.enter_context(http2_origin(root))
    servers = []
    for http2 in ("off", "auto"):
        settings = {
            "IMGFORGE_CACHE_TYPE": "none",
            "IMGFORGE_CA_FILE": str(origin.authority),
            "IMGFORGE_SOURCE_HTTP2": http2,
        }
        server = stack.enter_context(imgforge_server(root, settings))
        servers.append(replace(server, name=http2))
    return [_measure_size(size, servers, origin, arguments) for size in sizes]


def _row(summary: RoundSummary, protocols: Protocols) -> tuple[object, ...]:
    cpu = "-" if summary.cpu is None else f"{summary.cpu * 1e3:.2f}"
    latencies = (f"{seconds * 1e3:.0f}" for seconds in (summary.p50, summary.p99))
    figures = (summary.name, f"{summary.rate:.0f}", f"{summary.ratio:.2f}", cpu, *latencies, summary.failures)
    return (*figures, " ".join(sorted(protocols.requests)), protocols.connections)


def _print(results: Sequence[SizeResult]) -> None:
    for result in results:
        rows = [_row(summary, result.protocols[summary.name]) for summary in result.rounds]
        print(f"\n{result.size} bytes\n\n{markdown_table(_HEAD, rows)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    results = measure_with_servers(_measure, arguments)
    if results is None:
        return 1
    report = {
        "machine": describe_machine(),
        "operation": arguments.operation,
        "connections": arguments.connections,
        "sizes": [asdict(result) for result in results],
    }
    if not write_json(arguments.json, report):
        _print(results)
    return int(any(row.failures for result in results for row in result.rounds))


if __name__ == "__main__":
    sys.exit(main())
