"""What tracing costs: instructions per hit and per small image without it, with none and with all requests sampled.

    python bench/tracing.py

Counted as `instructions.py` does, which other load on the machine does not change. The spans go by OTLP over HTTP to a
receiver that drops them; what it takes to encode and send them is counted, as the threads of the exporter belong to the
process. What 1 % costs is worked out from the two: a server under callgrind is so slow that its exporter would send a
few spans at a time, and a busy server sends hundreds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.callgrind import Callgrind, CallgrindFailed, missing_programs
from bench.instruction_works import SERVER_NAMES, server_works
from bench.instructions import count_work
from bench.output import add_json_argument, markdown_table, measure_with_servers, print_progress, write_json
from bench.workloads import SMALL_WORKLOADS, draw_missing_photos

__all__ = ["main"]

_WARM_UP = 10
_SHARES = (None, 0.0, 1.0)  # of the requests that are sampled; None: tracing is off


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
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # so that batches are full
        "OTEL_BSP_MAX_QUEUE_SIZE": "20000",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }


def _title(share: float | None) -> str:
    return "off" if share is None else f"{share:.0%}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS", help="only the work whose name contains WORDS")
    parser.add_argument("--times", type=int, default=6, help="N for images; hits are more (default: 6)")
    parser.add_argument("--repeats", type=int, default=3, help="counts of each work (default: 3)")
    add_json_argument(parser)
    return parser


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> dict[str, dict[str, int]]:
    pictures, directory = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
    draw_missing_photos(pictures, SMALL_WORKLOADS)
    endpoint = _receiver(stack)
    counts: dict[str, dict[str, int]] = {name: {} for name in SERVER_NAMES if arguments.only in name}
    for share in _SHARES:
        with server_works(Callgrind(directory), pictures, _environment(share, endpoint)) as (process, works):
            chosen = [work for work in works if work.name in counts]
            for work in chosen:
                work.do(_WARM_UP * work.weight)
            process = process.with_idle()
            for work in chosen:
                counted = count_work(process, work, arguments.times, arguments.repeats).instructions
                counts[work.name][_title(share)] = counted
                print_progress(f"  {_title(share)}: {work.name}: {counted:,}")
    return counts


def main(argv: Sequence[str] | None = None) -> int:
    """Count as *argv* says and print the result; returns 1 on a failure."""
    arguments = _arguments().parse_args(argv)
    if missing := missing_programs():
        print_progress(f"nothing is counted: {' and '.join(missing)} not found; install valgrind")
        return 1
    try:
        counts = measure_with_servers(_measure, arguments)
    except CallgrindFailed as failure:
        print_progress(str(failure))
        return 1
    if counts is None:
        return 1
    if not write_json(arguments.json, {"instructions": counts}):
        rows = []
        for name, row in counts.items():
            off, none, all_ = (row[_title(share)] for share in _SHARES)
            one = none + (all_ - none) / 100
            rows.append((name, f"{off:,}", *(f"{count / off - 1:+.1%}" for count in (none, one, all_))))
        print(markdown_table(("work", "off", "0%", "1%", "100%"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
