"""Behaviour beyond capacity: images per second, their latency, refusals, hits and health checks, by offered load.

    python bench/overload.py                                 this repository's imgforge, a queue of 8
    python bench/overload.py --queue 0 --factors 1 2         the same without a bound on its queue
    python bench/overload.py --plot overload.svg
    python bench/overload.py --server imgproxy=http://127.0.0.1:8081 --sources DIR

The program first measures the capacity: how many images per second the server makes. Then it sends multiples of that
rate (the factors), each request for another image, whether earlier requests have been answered or not; and at the same
time a cached image 20 times and `/status` 10 times per second. Latencies count from the moment a request was due.

A peer gets the same load at the same rates, without the cached image and the health checks, whose paths it need not
have; its `local://` is DIR, where the picture is written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.load import drive, percentile
from bench.open_loop_load import RequestStream, send_load
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.pictures import draw_photo
from bench.servers import Server, StartFailed, imgforge_server, parse_server
from bench.svg_plot import Panel, plot
from bench.workloads import image_path

__all__ = ["FACTOR_UNIT", "latency_panel", "main"]

FACTOR_UNIT = "times capacity"  # of the factors

_CONNECTIONS = 6  # for measuring the capacity: fewer than threads and queue can hold
_HEAD = ("offered", "images/s", "p50 ms", "p99 ms", "429/s", "their p99 ms", "hit p99 ms", "status p99 ms", "failed")


@dataclass(frozen=True, slots=True)
class OverloadResult:
    """Rates per second and latencies in seconds at *factor* times the capacity.

    `made` and `refused` are the rates of images with status 200 and 429; `failures` counts all other outcomes.
    """

    factor: float
    made: float
    p50: float
    p99: float
    refused: float
    refused_p99: float
    hit_p99: float
    status_p99: float
    failures: int


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queue", type=int, default=8, help="IMGFORGE_REQUESTS_QUEUE_SIZE (default: 8)")
    parser.add_argument(
        "--factors",
        type=float,
        nargs="+",
        default=[0.5, 1, 2, 4, 8],
        help="multiples of the capacity to send (default: 0.5 1 2 4 8)",
    )
    parser.add_argument("--seconds", type=float, default=10, help="length of each load (default: 10)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the latencies as SVG")
    parser.add_argument("--server", type=parse_server, metavar="NAME=URL", help="a running server to send the same to")
    parser.add_argument("--sources", type=Path, metavar="DIR", help="the root of local:// of that server")
    add_json_argument(parser)
    return parser


def _path(cachebuster: object) -> str:
    return image_path(f"rs:fit:300:0/cb:{cachebuster}", "local:///picture.jpg", "webp")


def _new_paths() -> Iterator[str]:
    """Return paths whose images no cache has."""
    began = time.time_ns()
    return (_path(began + number) for number in count())


def _p99(latencies: Sequence[float]) -> float:
    return percentile(sorted(latencies), 0.99)


def _measure(server: Server, factor: float, capacity: float, seconds: float, *, beside: bool = True) -> OverloadResult:
    print_progress(f"{server.name}: {factor:g} times {capacity:.0f}/s")
    images = RequestStream(factor * capacity, _new_paths())
    hits, health = RequestStream(20.0, repeat(_path("hit"))), RequestStream(10.0, repeat("/status"))
    began = time.perf_counter()
    streams = (images, hits, health) if beside else (images,)
    send_load(server.address, streams, seconds)
    length = time.perf_counter() - began
    made, refused = (images.latencies.get(status, []) for status in (200, 429))
    answers = [(stream, status, len(latencies)) for stream in streams for status, latencies in stream.latencies.items()]
    return OverloadResult(
        factor=factor,
        made=len(made) / length,
        p50=percentile(sorted(made), 0.5),
        p99=_p99(made),
        refused=len(refused) / length,
        refused_p99=_p99(refused),
        hit_p99=_p99(hits.latencies.get(200, [])),
        status_p99=_p99(health.latencies.get(200, [])),
        failures=sum(
            number for stream, status, number in answers if status != 200 and (stream, status) != (images, 429)
        ),
    )


def _row(result: OverloadResult) -> tuple[object, ...]:
    milliseconds = (
        f"{value * 1e3:.0f}"
        for value in (result.p50, result.p99, result.refused_p99, result.hit_p99, result.status_p99)
    )
    p50, p99, refused_p99, hit, health = milliseconds
    made, refused = f"{result.made:.1f}", f"{result.refused:.0f}"
    return f"{result.factor:g}x", made, p50, p99, refused, refused_p99, hit, health, result.failures


def latency_panel(loads: Sequence[Mapping[str, float]]) -> Panel:
    """Return the panel of the latencies of *loads*, the list in a report, for a plot over their factors."""
    keys = {"image p50": "p50", "image p99": "p99", "429 p99": "refused_p99", "hit p99": "hit_p99"}
    return Panel("latency in ms", {name: [load[key] * 1e3 for load in loads] for name, key in keys.items()})


def _curves(loads: Sequence[Mapping[str, float]]) -> str:
    rates = {name: [load[name] for load in loads] for name in ("made", "refused")}
    panels = [latency_panel(loads), Panel("answers per second", rates)]
    return plot([load["factor"] for load in loads], panels, unit=FACTOR_UNIT)


def main(argv: Sequence[str] | None = None) -> int:
    """Send the loads that *argv* names and print the results; returns 1 if an answer was neither 200 nor 429."""
    arguments = _arguments().parse_args(argv)
    settings = {"IMGFORGE_CACHE_TYPE": "memory", "IMGFORGE_REQUESTS_QUEUE_SIZE": str(arguments.queue)}
    try:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            picture = draw_photo(1600, 1067, grain=5, quality=82)
            for place in filter(None, (root, arguments.sources)):
                (place / "picture.jpg").write_bytes(picture)
            with imgforge_server(root, settings) as server:
                drive(server.address, repeat(_path("hit"), 200), connections=16)  # into the caches of all processes
                capacity = drive(
                    server.address, _new_paths(), connections=_CONNECTIONS, seconds=arguments.seconds / 2
                ).rate
                results, theirs = [], []
                for factor in sorted(arguments.factors):  # in turns, so that both have the same machine
                    results.append(_measure(server, factor, capacity, arguments.seconds))
                    if arguments.server is not None:
                        peer = arguments.server
                        theirs.append(_measure(peer, factor, capacity, arguments.seconds, beside=False))
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    loads = [asdict(result) for result in results]
    if arguments.plot:
        arguments.plot.write_text(_curves(loads))
    report = {
        "machine": describe_machine(),
        "capacity": capacity,
        "loads": loads,
        "peer": [asdict(one) for one in theirs],
    }
    if not write_json(arguments.json, report):
        print(f"capacity: {capacity:.1f} images/s; a queue of {arguments.queue}\n")
        print(markdown_table(_HEAD, map(_row, results)))
        if theirs:
            print(f"\n{arguments.server.name}:\n\n{markdown_table(_HEAD, map(_row, theirs))}")
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
