"""What tracing costs: CPU time of a hit and of a small image without it, and with none, 1 % and all requests sampled.

    python bench/tracing.py                     CPU time, user's and kernel's, in alternating rounds
    python bench/tracing.py --instructions      instructions without the kernel's, off and with none sampled

Four servers of one process each get the same requests in turn; the least of the rounds counts, as other load only adds.
Their spans go by OTLP over HTTP to a receiver that drops them; what it takes to encode and send them is counted, as the
threads of the exporter belong to the process. Other load on the machine does not change instructions, but a server
under callgrind is so slow that its exporter would send a few spans at a time, where a busy one sends hundreds: hence
none are sampled there.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.callgrind import Callgrind, CallgrindFailed, missing_programs
from bench.instruction_works import SERVER_NAMES, server_works
from bench.instructions import count_work
from bench.load import drive
from bench.output import add_json_argument, markdown_table, measure_with_servers, print_progress, write_json
from bench.servers import imgforge_server
from bench.workloads import SMALL_WORKLOADS, draw_missing_photos, image_path

__all__ = ["main"]

Costs = dict[str, dict[str, float]]  # of works, by the share that is sampled

_WARM_UP = 10
_DELAY = 0.5  # seconds, at most, until spans are sent
_SETTINGS = {
    "IMGFORGE_PROCESSES": "1",
    "IMGFORGE_WORKERS": "1",
    "IMGFORGE_CACHE_TYPE": "memory",
    "IMGFORGE_SOURCE_CACHE_TYPE": "",
}
_SHARES = (None, 0.0, 0.01, 1.0)  # of the requests that are sampled; None: tracing is off


class _Drop(BaseHTTPRequestHandler):
    """Takes whatever is sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Quiet."""


def _receiver(stack: ExitStack) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Drop)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_address[1]}"


def _environment(share: float | None, endpoint: str) -> dict[str, str]:
    if share is None:
        return {}
    return {
        "IMGFORGE_OPEN_TELEMETRY_ENABLE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": f"{_DELAY * 1e3:.0f}",
        "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }


def _title(share: float | None) -> str:
    return "off" if share is None else f"{share:.0%}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", action="store_true", help="count instructions; it takes minutes")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each server (default: 7)")
    parser.add_argument("--hits", type=int, default=20_000, help="hits of a round (default: 20000)")
    parser.add_argument("--images", type=int, default=300, help="images of a round (default: 300)")
    add_json_argument(parser)
    return parser


def _cpu_seconds(pid: int) -> float:
    """What the threads of the process have used so far, to the nanosecond (/proc/PID/task/*/schedstat)."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _instructions(stack: ExitStack, _: argparse.Namespace) -> Costs:
    pictures, directory = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
    draw_missing_photos(pictures, SMALL_WORKLOADS)
    endpoint = _receiver(stack)
    counts: Costs = {name: {} for name in SERVER_NAMES[:2]}
    for share in (None, 0.0):
        with server_works(Callgrind(directory), pictures, _environment(share, endpoint)) as (process, works):
            chosen = [work for work in works if work.name in counts]
            for work in chosen:
                work.do(_WARM_UP * work.weight)
            process = process.with_idle()
            for work in chosen:
                counts[work.name][_title(share)] = count_work(process, work, 6, 5).instructions
                print_progress(f"  {_title(share)}: {work.name}: {counts[work.name][_title(share)]:,}")
    return counts


def _cpu_time(stack: ExitStack, arguments: argparse.Namespace) -> Costs:
    """Microseconds of CPU time of each work, by the least of the rounds."""
    pictures = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    draw_missing_photos(pictures, SMALL_WORKLOADS)
    endpoint = _receiver(stack)
    servers = {
        _title(share): stack.enter_context(imgforge_server(pictures, _SETTINGS | _environment(share, endpoint)))
        for share in _SHARES
    }
    workload, numbers = SMALL_WORKLOADS[0], itertools.count(1)

    def path(number: int) -> str:
        return image_path(f"{workload.options}/cb:{number}", f"local:///{workload.source}", workload.format)

    works: dict[str, Callable[[], Iterable[str]]] = {
        "hit": lambda: itertools.repeat(path(0), arguments.hits),
        "small image": lambda: [path(number) for number in itertools.islice(numbers, arguments.images)],
    }
    taken: dict[str, dict[str, list[float]]] = {name: {title: [] for title in servers} for name in works}
    for number in range(-1, arguments.rounds):  # the first one warms up
        turned = sorted(servers.items(), reverse=bool(number % 2))
        for (name, paths), (title, server) in itertools.product(works.items(), turned):
            before = _cpu_seconds(server.pid or 0)
            load = drive(server.address, paths(), connections=4)
            time.sleep(1.5 * _DELAY)  # so that all spans are sent
            if load.failures:
                raise OSError(f"{load.failures} requests failed")
            if number >= 0:
                taken[name][title].append((_cpu_seconds(server.pid or 0) - before) / load.answers * 1e6)
                print_progress(
                    f"  round {number + 1}/{arguments.rounds} {title}: {name}: {taken[name][title][-1]:.1f} us"
                )
    return {name: {title: min(row) for title, row in rows.items()} for name, rows in taken.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Count as *argv* says and print the result; returns 1 on a failure."""
    arguments = _arguments().parse_args(argv)
    if arguments.instructions and (missing := missing_programs()):
        print_progress(f"nothing is counted: {' and '.join(missing)} not found; install valgrind")
        return 1
    try:
        costs = measure_with_servers(_instructions if arguments.instructions else _cpu_time, arguments)
    except CallgrindFailed as failure:
        print_progress(str(failure))
        return 1
    if costs is None:
        return 1
    unit = "instructions" if arguments.instructions else "microseconds"
    if not write_json(arguments.json, {unit: costs}):
        titles = list(next(iter(costs.values())))
        rows = [
            (name, f"{row['off']:,.1f}", *(f"{row[title] / row['off'] - 1:+.1%}" for title in titles[1:]))
            for name, row in costs.items()
        ]
        print(markdown_table((unit, *titles), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
