"""Images made beforehand per second, by the number of workers: does a queue use all CPUs?

    python bench/prerender.py                               the embedded queue, 1 worker to one for each CPU
    python bench/prerender.py --broker redis://127.0.0.1/9  the same by Celery; the broker's queue must be empty

Each worker is `imgforge render run --drain --concurrency 1` in a process of its own; the last row is one worker that
starts a process for each CPU itself. Besides the images a second there are those a second of processor time, which
tell on a busy machine whether the workers get into each other's way. With a broker the seconds have the start and the
end of Celery's workers in them, about ten: give it more images.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.output import add_json_argument, describe_machine, markdown_table, write_json
from bench.pictures import draw_photo

__all__ = ["main"]

_COMMAND = [sys.executable, "-c", "from imgforge.cli import main; main()", "render"]


@dataclass(frozen=True, slots=True)
class Row:
    """*images* made by *workers* processes of *threads* threads, in *seconds*, with *cpu* seconds of processor time."""

    workers: int
    threads: int
    images: int
    seconds: float
    cpu: float

    def cells(self) -> list[str]:
        """The row of the table."""
        rates = (f"{self.images / self.seconds:.1f}", f"{self.images / self.cpu:.1f}")
        return [*map(str, (self.workers, self.threads, self.images)), f"{self.seconds:.1f}", *rates]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as *argv* says and print the table; returns 1 if an image was not made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--images", type=int, default=400, help="images for each row (default: 400)")
    parser.add_argument("--width", type=int, default=1600, help="pixels of the originals' width (default: 1600)")
    parser.add_argument("--most", type=int, default=cpus, help="most workers (default: one for each CPU)")
    parser.add_argument("--broker", default="", help="URL of a broker, in place of the embedded queue")
    add_json_argument(parser)
    arguments = parser.parse_args(argv)
    rows = list(_rows(arguments.images, arguments.width, arguments.most, arguments.broker))
    if not write_json(arguments.json, {"machine": describe_machine(), "rows": [asdict(row) for row in rows]}):
        head = ["workers", "threads", "images", "seconds", "images/s", "images/CPU s"]
        print(markdown_table(head, [row.cells() for row in rows]))
    return 0 if all(row.images == arguments.images for row in rows) else 1


def _rows(images: int, width: int, most: int, broker: str) -> Iterator[Row]:
    shapes = [(workers, 1) for workers in range(1, most + 1)]
    if most > 1:
        shapes.append((1, most))
    for workers, threads in shapes:
        with tempfile.TemporaryDirectory(prefix="imgforge-bench-") as scratch:
            yield _row(Path(scratch), images, width, broker, workers, threads)


def _row(scratch: Path, images: int, width: int, broker: str, workers: int, threads: int) -> Row:
    for name in ("cache", "originals"):
        (scratch / name).mkdir()
    (scratch / "originals" / "a.jpg").write_bytes(draw_photo(width, width * 3 // 4, grain=3, quality=85))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFORGE_")} | {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "IMGFORGE_CACHE_TYPE": "disk",
        "IMGFORGE_CACHE_DISK_PATH": str(scratch / "cache"),
        "IMGFORGE_ALLOW_UNSIGNED": "true",
        "IMGFORGE_LOCAL_FILESYSTEM_ROOT": str(scratch / "originals"),
        **({"IMGFORGE_QUEUE_URL": broker} if broker else {"IMGFORGE_QUEUE_PATH": str(scratch / "queue")}),
    }
    # A cachebuster of its own makes each a result of its own, of the same work.
    paths = "".join(f"/unsafe/rs:fit:400:400/cb:{number}/plain/local:///a.jpg@webp\n" for number in range(images))
    subprocess.run([*_COMMAND, "add", "-"], env=environment, input=paths, text=True, check=True, capture_output=True)
    before = os.times()
    run = [*_COMMAND, "run", "--drain", "--concurrency", str(threads)]
    began = time.monotonic()
    processes = [
        subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(workers)
    ]
    reports = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    after = os.times()
    # Of the embedded queue without the start of Python; Celery's workers tell when they have looked at the broker.
    seconds = time.monotonic() - began if broker else max(report["seconds"] for report in reports)
    made = images if broker else sum(report["done"] for report in reports)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Row(workers, threads, made, seconds, cpu)


if __name__ == "__main__":
    sys.exit(main())
