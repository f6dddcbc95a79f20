"""Cached hits: one image of some 20 kB over keep-alive connections; answers per second and per server CPU second.

    python bench/hits.py                                     this repository's imgforge with its memory cache
    python bench/hits.py --start --nginx --sources http \\
        --server rust=http://127.0.0.1:8082,4712

`--nginx` starts nginx with proxy_cache in front of the first server. Servers that were started by hand must have their
cache enabled; with `--sources local` (the default) the root of their local:// sources must be the directory of
`--local-root`, into which the original is drawn. A slow client does not distort figures per CPU second.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from itertools import repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import RoundSummary, measure_alternately, server_contender
from bench.load import LoadResult, drive, drive_wrk, fetch
from bench.nginx_cache import nginx_cache
from bench.output import (
    add_server_arguments,
    describe_machine,
    markdown_table,
    measure_with_servers,
    print_progress,
    write_json,
)
from bench.pictures import draw_photo
from bench.servers import Server, file_origin, imgforge_server
from bench.workloads import image_path

__all__ = ["main"]

_SOURCE = "hit.jpg"
_GRAIN = 13.0  # of the original, so that the image has some 20 kB
_HEAD = ("server", "hits/CPU s", "ratio", "hits/s", "p50 ms", "p99 ms", "failed")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_server_arguments(parser)
    parser.add_argument(
        "--local-root", type=Path, metavar="DIR", help="where the original is drawn (default: a temporary directory)"
    )
    parser.add_argument(
        "--nginx", action="store_true", help="measure nginx with proxy_cache in front of the first server too"
    )
    parser.add_argument("--nginx-workers", type=int, default=1, help="worker processes of nginx (default: 1)")
    parser.add_argument(
        "--generator", choices=("wrk", "own"), help="the load generator (default: wrk if it is installed)"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round (default: 4)")
    parser.add_argument("--connections", type=int, default=32, help="keep-alive connections (default: 32)")
    return parser


def _load(path: str, arguments: argparse.Namespace, server: Server) -> LoadResult:
    generator = arguments.generator or ("wrk" if shutil.which("wrk") else "own")
    if generator == "wrk":
        return drive_wrk(server.url + path, connections=arguments.connections, seconds=arguments.seconds)
    return drive(server.address, repeat(path), connections=arguments.connections, seconds=arguments.seconds)


def _warm(server: Server, path: str, connections: int) -> None:
    """Fill the cache of every worker process, and print status, type and length of the answer."""
    drive(server.address, repeat(path, 20 * connections), connections=connections)
    answer = fetch(server.address, path)
    print_progress(f"{server.name}: status {answer.status}, {answer.content_type}, {len(answer.body)} bytes")


def _row(summary: RoundSummary, reference: RoundSummary) -> tuple[object, ...]:
    """Return a row of the table; the ratio is of hits per CPU second if both are known."""
    per_cpu = f"{1 / summary.cpu:.0f}" if summary.cpu else "-"
    ratio = f"{reference.cpu / summary.cpu:.2f}" if summary.cpu and reference.cpu else "-"
    latencies = (f"{seconds * 1e3:.2f}" for seconds in (summary.p50, summary.p99))
    return (summary.name, per_cpu, ratio, f"{summary.rate:.0f}", *latencies, summary.failures)


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> list[RoundSummary]:
    root = arguments.local_root or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    root.mkdir(parents=True, exist_ok=True)
    (root / _SOURCE).write_bytes(draw_photo(800, 600, grain=_GRAIN, quality=92))
    servers: list[Server] = list(arguments.server)
    if arguments.start or not servers:
        servers.append(stack.enter_context(imgforge_server(root, {"IMGFORGE_CACHE_TYPE": "memory"})))
    if arguments.nginx:
        servers.append(stack.enter_context(nginx_cache(servers[0], arguments.nginx_workers)))
    prefix = "local:///" if arguments.sources == "local" else stack.enter_context(file_origin(root))
    path = image_path("rs:fit:400:300/q:80", prefix + _SOURCE, "jpg")
    for server in servers:
        _warm(server, path, arguments.connections)
    contenders = [server_contender(server, partial(_load, path, arguments)) for server in servers]
    return measure_alternately(contenders, arguments.rounds, servers[0].name)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    results = measure_with_servers(_measure, arguments)
    if results is None:
        return 1
    only_json = write_json(arguments.json, {"machine": describe_machine(), "servers": [asdict(row) for row in results]})
    if not only_json:
        print(markdown_table(_HEAD, (_row(row, results[0]) for row in results)))
    return int(any(row.failures for row in results))


if __name__ == "__main__":
    sys.exit(main())
