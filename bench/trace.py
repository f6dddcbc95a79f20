"""Traffic from an empty cache on: popular and rare originals, several widths and formats, a slow origin.

    python bench/trace.py                                    this repository's imgforge
    python bench/trace.py --start --nginx --server imgproxy=http://127.0.0.1:8081,4711

`--nginx` puts nginx with proxy_cache in front of the first server, and measures the two as one server. Each server gets
the whole trace once, with URLs that no cache has. Servers must accept sources at http://127.0.0.1.

"Growth" is the rise of memory per 1000 requests, by linear regression over the second half of the run; with
`--cache none --originals 5000 --exponent 0 --requests 20000` it shows whether processing leaks memory.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.libvips_baseline import baseline_seconds
from bench.load import drive
from bench.nginx_cache import nginx_cache
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.process_usage import cpu_seconds, sample_memory
from bench.servers import Server, StartFailed, free_port, imgforge_server, parse_server, running_process
from bench.zipf_traffic import ZipfTraffic, draw_originals, write_photo_originals

__all__ = ["main"]

_MEGA = 1_000_000
_HEAD = (
    *("server", "requests/s", "ratio", "hits", "p50 ms", "p95 ms", "p99 ms"),
    *("CPU s", "peak MB", "after MB", "growth kB", "fetches", "failed"),
)


@dataclass(frozen=True, slots=True)
class TracedServer:
    """A server, and the roots of the process trees that work on its answers; none if they are not known."""

    server: Server
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TraceResult:
    """Latencies in seconds, `cpu` in CPU seconds, memory in bytes, `hits` a share (0..1) of the answers.

    `peak` is the largest resident memory during the trace, `after` that at its end, `growth` its rise in bytes per
    request; `fetches` counts the requests at the origin. CPU and memory are None if no process id is known.
    """

    name: str
    rate: float
    hits: float
    p50: float
    p95: float
    p99: float
    cpu: float | None
    peak: int | None
    after: int | None
    growth: float | None
    fetches: int
    failures: int


def _weights(text: str) -> dict[str, float]:
    """Parse `webp:70,jpeg:28` into weights by format."""
    pairs = (part.partition(":") for part in text.split(","))
    return {name: float(weight) for name, _, weight in pairs}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        type=parse_server,
        metavar="NAME=URL[,PID]",
        help="a running server (may be repeated); ratios are relative to the first",
    )
    parser.add_argument(
        "--start", action="store_true", help="start this repository's imgforge too (always without --server)"
    )
    parser.add_argument("--cache", default="hybrid", help="IMGFORGE_CACHE_TYPE of that imgforge (default: hybrid)")
    parser.add_argument("--nginx", action="store_true", help="put nginx with proxy_cache in front of the first server")
    parser.add_argument("--nginx-workers", type=int, default=1, help="worker processes of nginx (default: 1)")
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="make the originals of these photos (default: drawn ones)"
    )
    parser.add_argument(
        "--libvips", action="store_true", help="measure libvips alone on all CPUs too: an upper bound for any server"
    )
    parser.add_argument("--requests", type=int, default=12_000, help="number of requests (default: 12000)")
    parser.add_argument("--originals", type=int, default=1000, help="number of originals (default: 1000)")
    parser.add_argument(
        "--widths",
        type=lambda text: tuple(map(int, text.split(","))),
        default=(160, 240, 320, 480, 640, 800, 1024, 1280),
        help="widths of the images, in pixels (default: eight from 160 to 1280)",
    )
    parser.add_argument(
        "--formats",
        type=_weights,
        default=_weights("webp:70,jpeg:28,avif:2"),
        help="formats of the images, with weights (default: webp:70,jpeg:28,avif:2)",
    )
    parser.add_argument(
        "--exponent",
        type=float,
        default=1.0,
        help="exponent of Zipf's law; 0: all originals are equally popular (default: 1)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choices (default: 1)")
    parser.add_argument("--latency", type=float, default=0.03, help="latency of the origin, in seconds (default: 0.03)")
    parser.add_argument("--connections", type=int, default=16, help="simultaneous requests (default: 16)")
    add_json_argument(parser)
    return parser


@contextmanager
def _serve_originals(photos: Path | None, latency: float) -> Iterator[tuple[str, list[Path]]]:
    """Start an origin; yields its base URL, and the pictures that its originals are made of."""
    with tempfile.TemporaryDirectory() as directory:
        if photos is None:
            draw_originals(Path(directory))
        elif not write_photo_originals(photos, Path(directory)):
            raise StartFailed(f"no photo in {photos} makes a JPEG of 100 kB to 1 MB")
        port = free_port()
        program = str(Path(__file__).with_name("slow_origin.py"))
        with running_process((sys.executable, program, directory, str(port), str(latency)), port):
            yield f"http://127.0.0.1:{port}", sorted(Path(directory).iterdir())


def _traced_servers(stack: ExitStack, arguments: argparse.Namespace) -> list[TracedServer]:
    servers: list[Server] = list(arguments.server)
    if arguments.start or not servers:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {"IMGFORGE_CACHE_TYPE": arguments.cache, "IMGFORGE_CACHE_DISK_PATH": str(root)}
        servers.append(stack.enter_context(imgforge_server(root, settings)))
    traced = [TracedServer(server, (server.pid,) if server.pid else ()) for server in servers]
    if arguments.nginx:
        upstream = traced[0]
        nginx = stack.enter_context(nginx_cache(upstream.server, arguments.nginx_workers))
        front = Server(f"{upstream.server.name} + {nginx.name}", nginx.url, nginx.pid)
        pids = (*upstream.pids, nginx.pid) if upstream.pids and nginx.pid else ()
        traced[0] = TracedServer(front, pids)
    return traced


def _requested(origin: str) -> int:
    with urllib.request.urlopen(f"{origin}/count") as answer:  # noqa: S310  our own origin
        return int(answer.read())


def _measure(traced: TracedServer, traffic: ZipfTraffic, origin: str, connections: int) -> TraceResult:
    server, pids = traced.server, traced.pids
    print_progress(f"{server.name}: {traffic.requests} requests")
    base, warm_up = (f"{origin}/{time.time_ns() + part}/" for part in range(2))  # URLs that no cache has
    # Worker processes may still be starting, so request a few images that are not in the trace.
    drive(server.address, islice(traffic.paths(warm_up), 4 * connections), connections=connections)
    cpu_before, requested_before = sum(map(cpu_seconds, pids)), _requested(origin)
    with sample_memory(pids) as memory:
        load = drive(server.address, traffic.paths(base), connections=connections)
    cpu = sum(map(cpu_seconds, pids)) - cpu_before
    print_progress(f"  {load.rate:.1f}/s")
    return TraceResult(
        name=server.name,
        rate=load.rate,
        hits=load.hits / max(1, load.answers),
        p50=load.p50,
        p95=load.p95,
        p99=load.p99,
        cpu=cpu if pids else None,
        peak=memory.peak if pids else None,
        after=memory.last if pids else None,
        growth=memory.slope * load.seconds / traffic.requests if pids else None,
        fetches=_requested(origin) - requested_before,
        failures=load.failures,
    )


def _upper_bound(traffic: ZipfTraffic, pictures: Sequence[Path]) -> float:
    """Return the requests per second of a server that takes no time for anything but libvips."""
    print_progress(f"libvips: {traffic.requests} requests")
    distinct = dict.fromkeys(traffic.renditions())
    files = [str(picture) for picture in pictures]
    renditions = [(files[number % len(files)], width, extension) for number, width, extension in distinct]
    return traffic.requests / baseline_seconds(renditions, len(os.sched_getaffinity(0)))


def _row(result: TraceResult, reference: TraceResult) -> tuple[object, ...]:
    latencies = (f"{seconds * 1e3:.1f}" for seconds in (result.p50, result.p95, result.p99))
    cpu = "-" if result.cpu is None else f"{result.cpu:.1f}"
    memory = ("-" if size is None else f"{size / _MEGA:.0f}" for size in (result.peak, result.after))
    growth = "-" if result.growth is None else f"{result.growth:.0f}"  # bytes per request equal kB per 1000 requests
    ratio = f"{result.rate / reference.rate:.2f}" if reference.rate else "-"
    figures = (f"{result.rate:.1f}", ratio, f"{result.hits:.1%}", *latencies, cpu, *memory, growth)
    return (result.name, *figures, result.fetches, result.failures)


def main(argv: Sequence[str] | None = None) -> int:
    """Send the trace as *argv* says and print the result; returns 1 if an answer was not 200 or a server failed."""
    arguments = _arguments().parse_args(argv)
    traffic = ZipfTraffic(
        requests=arguments.requests,
        originals=arguments.originals,
        widths=arguments.widths,
        formats=arguments.formats,
        exponent=arguments.exponent,
        seed=arguments.seed,
    )
    distinct = len(set(traffic.paths("")))
    try:
        with ExitStack() as stack:
            origin, pictures = stack.enter_context(_serve_originals(arguments.photos, arguments.latency))
            servers = _traced_servers(stack, arguments)
            results = [_measure(server, traffic, origin, arguments.connections) for server in servers]
            upper_bound = _upper_bound(traffic, pictures) if arguments.libvips else None
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    report = {
        "machine": describe_machine(),
        "distinct": distinct,
        "servers": [asdict(result) for result in results],
        "ceiling": upper_bound,
    }
    if not write_json(arguments.json, report):
        print(f"{traffic.requests} requests, {distinct} of them distinct\n")
        print(markdown_table(_HEAD, (_row(result, results[0]) for result in results)))
        if upper_bound is not None:
            print(f"\nlibvips alone, on all CPUs: {upper_bound:.1f} requests/s, {upper_bound / results[0].rate:.2f}")
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
