"""The public yardstick: the works of cshum/image-servers-benchmark, beside the rates that it publishes.

    python bench/public.py                                              imgforge alone, on drawings
    python bench/public.py --imgproxy PROGRAM --thumbor PROGRAM         both are started, on the same origin
    python bench/public.py --photos DIR --server imagor=http://127.0.0.1:8000,4711

Pictures of some 2040x1400 in JPEG, PNG, WebP and AVIF become results of the same format that fit into 512x512, over two
connections, one picture after the other, without caches. The origin is nginx, and one that is slower where nginx is not
installed. The pictures are the PNGs in DIR, DIV2K_valid_HR in the original; files in the other formats are made of them
as that benchmark does. If there are none they are drawn, of the same sizes and about the same weights, and the program
says so. A server whose name begins with "imagor" or "thumbor" is asked in that syntax, any other in imgproxy's.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.alternating_rounds import Contender, RoundSummary, measure_alternately, server_contender
from bench.load import LoadResult, drive, fetch
from bench.nginx_files import nginx_files
from bench.output import (
    add_json_argument,
    describe_machine,
    markdown_table,
    measure_with_servers,
    print_progress,
    write_json,
)
from bench.peers import imgproxy_server, thumbor_server
from bench.public_pictures import prepare_pictures
from bench.public_works import PUBLISHED_ON, WORKS, PublicWork, request_path
from bench.servers import Server, file_origin, imgforge_server, parse_server

__all__ = ["main"]

_HEAD = ("server", "images/s", "ratio", "published", "CPU ms/image", "kB/image", "p50 ms", "p95 ms", "failed")
_CONNECTIONS = 2
_COMMON = {"MAX_SRC_RESOLUTION": "99", "JPEG_PROGRESSIVE": "true"}  # what that benchmark sets of imgproxy
_IMGPROXY = {f"IMGPROXY_{name}": value for name, value in _COMMON.items()} | {
    "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true"
}
_IMGFORGE = {f"IMGFORGE_{name}": value for name, value in _COMMON.items()} | {
    "IMGFORGE_CACHE_TYPE": "none",
    "IMGFORGE_SOURCE_CACHE_TYPE": "",
}


@dataclass(frozen=True, slots=True)
class ServerResult:
    """A server's rounds of one work, the mean bytes of its results, and its published rate as a ratio to imgproxy's."""

    rounds: RoundSummary
    weight: float
    published: float | None


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgproxy", metavar="PROGRAM", help="start imgproxy, this program; ratios are relative to it")
    parser.add_argument("--thumbor", metavar="PROGRAM", help="start thumbor, this program")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        type=parse_server,
        metavar="NAME=URL[,PID]",
        help="a running server (may be repeated) that may read from loopback; its CPU time is measured if PID names its"
        " root process",
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="directory of the PNGs (default: a temporary one)")
    parser.add_argument("--images", type=int, default=12, help="pictures to draw if there are none (default: 12)")
    parser.add_argument(
        "--format", action="append", choices=[work.format for work in WORKS], help="only this one (may be repeated)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server, in alternation (default: 3)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a round (default: 10)")
    parser.add_argument("--requests", type=int, help="end a round after this number of requests instead")
    add_json_argument(parser)
    return parser


def _weight(server: Server, work: PublicWork, sources: Sequence[str]) -> float:
    """Return the mean length of the results that are as the work asks; says what others are."""
    answers = [fetch(server.address, request_path(server.name, work, source)) for source in sources]
    expected = f"image/{'jpeg' if work.format == 'jpg' else work.format}"
    others = {f"{answer.status} {answer.content_type}" for answer in answers if answer.content_type != expected}
    if others:
        print_progress(f"  {server.name} answers with {', '.join(sorted(others))} in place of {expected}")
    lengths = [len(answer.body) for answer in answers if answer.content_type == expected]
    return statistics.mean(lengths) if lengths else 0.0


def _contender(server: Server, work: PublicWork, sources: Sequence[str], arguments: argparse.Namespace) -> Contender:
    paths = itertools.cycle([request_path(server.name, work, source) for source in sources])

    def load(server: Server) -> LoadResult:
        if arguments.requests is not None:
            return drive(server.address, itertools.islice(paths, arguments.requests), connections=_CONNECTIONS)
        return drive(server.address, paths, connections=_CONNECTIONS, seconds=arguments.seconds)

    return server_contender(server, load)


def _measure_work(
    work: PublicWork, servers: Sequence[Server], sources: Sequence[str], arguments: argparse.Namespace
) -> list[ServerResult]:
    print_progress(work.title)
    weights = {server.name: _weight(server, work, sources) for server in servers}
    reference = "imgproxy" if "imgproxy" in weights else servers[0].name
    contenders = [_contender(server, work, sources, arguments) for server in servers]
    published = {name: rate / work.published["imgproxy"] for name, rate in work.published.items()}
    return [
        ServerResult(rounds, weights[rounds.name], published.get(rounds.name))
        for rounds in measure_alternately(contenders, arguments.rounds, reference)
    ]


def _measure(
    stack: ExitStack, arguments: argparse.Namespace
) -> tuple[int, list[tuple[PublicWork, list[ServerResult]]]]:
    """Return how many pictures were drawn, and the results of each work."""
    photos = arguments.photos or Path(stack.enter_context(tempfile.TemporaryDirectory()))
    works = [work for work in WORKS if not arguments.format or work.format in arguments.format]
    names, drawn = prepare_pictures(photos, arguments.images, [work.format for work in works])
    if drawn:
        print_progress(f"no PNGs in {photos}: {drawn} pictures were drawn instead (see --help)")
    origin = stack.enter_context(nginx_files(photos) if shutil.which("nginx") else file_origin(photos))
    servers: list[Server] = list(arguments.server)
    if arguments.imgproxy:
        servers.append(stack.enter_context(imgproxy_server(arguments.imgproxy, _IMGPROXY)))
    if arguments.thumbor:
        servers.append(stack.enter_context(thumbor_server(arguments.thumbor)))
    servers.append(stack.enter_context(imgforge_server(photos, _IMGFORGE)))
    return drawn, [
        (work, _measure_work(work, servers, [f"{origin}{name}.{work.format}" for name in names], arguments))
        for work in works
    ]


def _row(result: ServerResult) -> tuple[object, ...]:
    rounds = result.rounds
    published = "-" if result.published is None else f"{result.published:.2f}"
    cpu = "-" if rounds.cpu is None else f"{rounds.cpu * 1e3:.1f}"
    latencies = (f"{seconds * 1e3:.1f}" for seconds in (rounds.p50, rounds.p95))
    kilobytes = f"{result.weight / 1e3:.1f}"
    rate, ratio = f"{rounds.rate:.1f}", f"{rounds.ratio:.2f}"
    return (rounds.name, rate, ratio, published, cpu, kilobytes, *latencies, rounds.failures)


def _print(results: Sequence[tuple[PublicWork, list[ServerResult]]]) -> None:
    """Print a table of each work, and where the published ratios are from."""
    for work, rows in results:
        print(f"\n{work.title}\n\n{markdown_table(_HEAD, map(_row, rows))}")
    print(f"\npublished: the ratio to imgproxy on {PUBLISHED_ON}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the result; returns 1 if an answer was not 200 or a server did not start."""
    arguments = _arguments().parse_args(argv)
    measured = measure_with_servers(_measure, arguments)
    if measured is None:
        return 1
    drawn, results = measured
    works = [{"work": work.title, "servers": [asdict(row) for row in rows]} for work, rows in results]
    report = {"machine": describe_machine(), "drawn": drawn, "published_on": PUBLISHED_ON, "works": works}
    if not write_json(arguments.json, report):
        _print(results)
    return int(any(row.rounds.failures for _, rows in results for row in rows))


if __name__ == "__main__":
    sys.exit(main())
