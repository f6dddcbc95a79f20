"""Start-up time: from `twistd -n imgforge` to a listening socket, a first answer, and a first image.

    python bench/start.py                                    as many processes as there are CPUs
    IMGFORGE_PROCESSES=1 python bench/start.py

The parent listens before its workers run; connections made meanwhile wait in the backlog and are not refused.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.load import fetch
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.pictures import draw_photo
from bench.process_usage import cpu_seconds
from bench.servers import StartFailed, imgforge_server
from bench.workloads import image_path

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Seconds since the start of the program, and the CPU seconds that it used up to the first image."""

    listens: float
    answers: float
    image: float
    cpu: float


def _measure_start(root: Path) -> StartTimes:
    began = time.perf_counter()
    with imgforge_server(root, {}) as server:
        listens = time.perf_counter() - began
        answered = []
        for path in ("/status", image_path("rs:fit:100:100", "local:///start.jpg", "webp")):
            if fetch(server.address, path).status != 200:
                raise StartFailed(f"{path} does not answer 200")
            answered.append(time.perf_counter() - began)
        return StartTimes(listens, answered[0], answered[1], cpu_seconds(server.pid) if server.pid else 0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Start as often as *argv* says and print the median and the worst times; returns 1 if a start failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="number of starts (default: 5)")
    add_json_argument(parser)
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "start.jpg").write_bytes(draw_photo(300, 200, grain=2, quality=80))
            starts = [_measure_start(root) for _ in range(arguments.rounds)]
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    names = [field.name for field in fields(StartTimes)]
    columns = [[getattr(start, name) for start in starts] for name in names]
    if not write_json(arguments.json, {"machine": describe_machine(), "starts": [asdict(start) for start in starts]}):
        rows = (("median", map(statistics.median, columns)), ("worst", map(max, columns)))
        head = ("s from the start to", "listening", "first answer", "first image", "CPU s")
        print(markdown_table(head, ((name, *(f"{value:.2f}" for value in values)) for name, values in rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
