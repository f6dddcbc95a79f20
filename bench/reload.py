"""A reload under load: requests failed, and answers in each tenth of a second, before, during and after SIGHUP.

    python bench/reload.py
    IMGFORGE_PROCESSES=4 python bench/reload.py --hits 1000 --misses 40 --json -

Requests come at a fixed rate, whatever the server answers: a cached image, and images that no cache has. After a while
SIGHUP replaces the workers; the reload ends when no worker of before is left. Latencies count from the moment at which
a request was due. A request on a connection that the server has closed meanwhile is sent again on a new one, as
browsers and proxies do (RFC 9112, section 9.3.1), and counted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.load import drive, percentile
from bench.open_loop_load import RequestStream, send_load
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.pictures import draw_photo
from bench.process_usage import children, cpu_seconds
from bench.servers import StartFailed, imgforge_server
from bench.workloads import CACHEBUSTERS, image_path

__all__ = ["main"]

_BIN = 0.1  # seconds
_WORKER = "imgforge-worker"  # what worker processes call themselves
_POLL_INTERVAL = 0.02
_LONGEST_RELOAD = 60.0  # seconds
_HEAD = ("phase", "seconds", "answers/s", "slowest 0.1 s", "hit p50 ms", "hit p99 ms", "miss p50 ms", "miss p99 ms")


@dataclass(slots=True)
class TimedStream(RequestStream):
    """A stream that also keeps when each answer came, its status, and its latency in seconds."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)

    def add_latency(self, status: int, seconds: float) -> None:
        """Record one answer."""
        self.answers.append((time.perf_counter(), status, seconds))


@dataclass(slots=True)
class Reload:
    """When SIGHUP was sent and when all workers had been replaced; `cpu` in CPU seconds of the server meanwhile."""

    began: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0

    def run(self, pid: int, delay: float) -> None:
        """Reload the server *pid* after *delay* seconds."""
        time.sleep(delay)
        workers, cpu = set(children(pid, _WORKER)), cpu_seconds(pid)
        self.began = time.perf_counter()
        os.kill(pid, signal.SIGHUP)
        while workers & set(children(pid, _WORKER)) and time.perf_counter() < self.began + _LONGEST_RELOAD:
            time.sleep(_POLL_INTERVAL)
        self.ended = time.perf_counter()
        self.cpu = cpu_seconds(pid) - cpu


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the load: answers per second, those in each bin of 0.1 s, latencies in seconds."""

    name: str
    seconds: float
    rate: float
    bins: tuple[int, ...]
    hit_p50: float
    hit_p99: float
    miss_p50: float
    miss_p99: float

    @property
    def row(self) -> tuple[object, ...]:
        """The row of the table."""
        latencies = (f"{1e3 * value:.1f}" for value in (self.hit_p50, self.hit_p99, self.miss_p50, self.miss_p99))
        slowest = f"{min(self.bins, default=0) / _BIN:.0f}/s"
        return (self.name, f"{self.seconds:.2f}", f"{self.rate:.1f}", slowest, *latencies)


def _phase(name: str, start: float, end: float, hits: TimedStream, misses: TimedStream) -> Phase:
    within = [[answer for answer in stream.answers if start <= answer[0] < end] for stream in (hits, misses)]
    bins = [0] * int((end - start) / _BIN)
    for moment, status, _ in (*within[0], *within[1]):
        number = int((moment - start) / _BIN)
        if status == 200 and number < len(bins):
            bins[number] += 1
    of_hits, of_misses = (sorted(seconds for _, status, seconds in answers if status == 200) for answers in within)
    percentiles = (percentile(latencies, share) for latencies in (of_hits, of_misses) for share in (0.5, 0.99))
    rate = (len(of_hits) + len(of_misses)) / (end - start)
    return Phase(name, end - start, rate, tuple(bins), *percentiles)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a reload: its phases, requests without an answer of 200, and requests that were sent twice."""

    seconds: float
    cpu: float
    failed: int
    resent: int
    phases: tuple[Phase, ...]


def _measure(arguments: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "picture.jpg").write_bytes(draw_photo(640, 400, grain=4, quality=82))
        settings = {"IMGFORGE_CACHE_TYPE": arguments.cache, "IMGFORGE_CACHE_DISK_PATH": str(root / "cache")}
        with imgforge_server(root, settings) as server:
            if server.pid is None:
                raise StartFailed("the server has no process id")
            drive(server.address, repeat(_path(0), 200), connections=16)  # into the caches of all processes
            hits = TimedStream(arguments.hits, repeat(_path(0)), resends=True)
            misses = TimedStream(arguments.misses, map(_path, CACHEBUSTERS), resends=True)
            reload = Reload()
            reloading = threading.Thread(target=reload.run, args=(server.pid, arguments.seconds / 2))
            began = time.perf_counter()
            reloading.start()
            send_load(server.address, (hits, misses), arguments.seconds)
            ended = began + arguments.seconds
            reloading.join()
    moments = (began, reload.began, min(reload.ended, ended), ended)
    spans = zip(("before", "during", "after"), moments[:-1], moments[1:], strict=True)
    return Measured(
        seconds=reload.ended - reload.began,
        cpu=reload.cpu,
        failed=sum(status != 200 for stream in (hits, misses) for _, status, _ in stream.answers),
        resent=hits.resent + misses.resent,
        phases=tuple(_phase(*span, hits, misses) for span in spans),
    )


def _path(cachebuster: int) -> str:
    return image_path(f"rs:fit:160:160/cb:{cachebuster}", "local:///picture.jpg", "jpg")


def main(argv: Sequence[str] | None = None) -> int:
    """Reload a server under the load that *argv* says and print the result; returns 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hits", type=float, default=200, help="cached images per second (default: 200)")
    parser.add_argument("--misses", type=float, default=20, help="new images per second (default: 20)")
    parser.add_argument("--seconds", type=float, default=20, help="length of the load (default: 20)")
    parser.add_argument("--cache", default="hybrid", help="IMGFORGE_CACHE_TYPE (default: hybrid)")
    add_json_argument(parser)
    arguments = parser.parse_args(argv)
    try:
        measured = _measure(arguments)
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    offered = {"hits": arguments.hits, "misses": arguments.misses}
    if not write_json(arguments.json, {"machine": describe_machine(), "offered": offered, "reload": asdict(measured)}):
        print(markdown_table(_HEAD, (phase.row for phase in measured.phases)))
        print(f"\nThe reload took {measured.seconds:.2f} s and {measured.cpu:.2f} CPU seconds with the load meanwhile;")
        print(f"{measured.failed} requests failed, {measured.resent} were sent again on another connection.")
    return int(measured.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
