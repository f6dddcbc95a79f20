"""Minutes of good and hostile traffic at once: which answers were wrong, and what grows.

    python bench/soak.py                                     ten minutes
    python bench/soak.py --minutes 1 --plot soak.svg

Good clients request cached and uncached images; every body must equal, byte for byte, the one that the idle server
sent before the soak. Hostile clients request decompression bombs and images of origins that break HTTP or never answer;
they send malformed requests, giant heads and floods, read and write slowly, disconnect early, and purge. A worker is
killed now and then; requests that fail with it are counted as "lost", and answers with 429 as "refused", not as wrong.
The oldest worker is never killed: "one worker" is that process without its children. Slopes are per 1000 requests, over
the second half of the run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.hostile_origin import start_hostile_origin
from bench.load import fetch, percentile
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.pictures import draw_photo
from bench.servers import Server, StartFailed, free_port, imgforge_server, running_process
from bench.soak_clients import WIDTHS, SoakTarget, good_path
from bench.soak_run import SoakPlan, SoakResult, slope_per_1000_requests, soak
from bench.svg_plot import Panel, plot

__all__ = ["main"]

_SECRET = "soak"  # noqa: S105  of a server on loopback
_PICTURES = 8
_MB = 1 << 20


def _settings(directory: Path, processes: int) -> dict[str, str]:
    """Return settings with small caches, which fill and evict soon, and with short timeouts."""
    settings = {
        "PROCESSES": processes,
        "TIMEOUT": 10,
        "DOWNLOAD_TIMEOUT": 2,
        "READ_REQUEST_TIMEOUT": 2,
        "KEEP_ALIVE_TIMEOUT": 2,
        "SOURCE_BREAKER_SECONDS": 1,
        "CACHE_TYPE": "hybrid",
        "CACHE_DISK_PATH": directory,
        "CACHE_MEMORY_MAX_BYTES": 4 * _MB,
        "CACHE_DISK_MAX_BYTES": 16 * _MB,
        "SOURCE_CACHE_TYPE": "hybrid",
        "SOURCE_CACHE_MAX_BYTES": 16 * _MB,
        "PURGE_SECRET": _SECRET,
        "LOG_LEVEL": "error",
    }
    return {f"IMGFORGE_{name}": str(value) for name, value in settings.items()}


@contextmanager
def _good_origin() -> Iterator[str]:
    """Serve the good pictures from an origin with 10 ms of latency; yields its base URL."""
    with tempfile.TemporaryDirectory() as directory:
        for number in range(_PICTURES):
            picture = draw_photo(400 + 40 * number, 300, grain=3, quality=80)
            (Path(directory) / f"{number}.jpg").write_bytes(picture)
        port = free_port()
        program = str(Path(__file__).with_name("slow_origin.py"))
        with running_process((sys.executable, program, directory, str(port), "0.01"), port):
            yield f"http://127.0.0.1:{port}"


def _expected_bodies(server: Server, origin_url: str) -> dict[tuple[int, int], bytes]:
    """Return the correct body of every picture and width, requested from the server while it is idle."""
    bodies = {}
    for picture in range(_PICTURES):
        for width in WIDTHS:
            answer = fetch(server.address, good_path(origin_url, "calm", picture, width))
            if answer.status != 200:
                raise StartFailed(f"status {answer.status} for a good image: {answer.body[:200]!r}")
            bodies[picture, width] = answer.body
    if len(set(bodies.values())) < len(bodies):
        raise StartFailed("two of the good images are equal, so that a mix-up of them would go unnoticed")
    return bodies


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="length of the soak (default: 10)")
    parser.add_argument("--processes", type=int, default=2, help="worker processes, at least 2 (default: 2)")
    parser.add_argument("--good", type=int, default=3, help="good clients (default: 3)")
    parser.add_argument("--hostile", type=int, default=8, help="hostile clients (default: 8)")
    parser.add_argument("--kill-every", type=float, default=45, help="seconds between two kills (default: 45)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the clients' random choices (default: 1)")
    parser.add_argument("--plot", metavar="FILE", help="draw memory, descriptors, threads and wrong answers as SVG")
    add_json_argument(parser)
    return parser


def _curves(result: SoakResult) -> dict[str, tuple[str, list[float]]]:
    """Return, by name of the curve, the title of its panel and its values, one for each sample."""
    samples = result.samples
    return {
        "MB of all": ("memory, MB", [sample.tree.memory / _MB for sample in samples]),
        "MB of one worker": ("memory, MB", [sample.oldest_worker.memory / _MB for sample in samples]),
        "descriptors of all": ("descriptors", [sample.tree.descriptors for sample in samples]),
        "descriptors of one worker": ("descriptors", [sample.oldest_worker.descriptors for sample in samples]),
        "threads of all": ("threads", [sample.tree.threads for sample in samples]),
        "threads of one worker": ("threads", [sample.oldest_worker.threads for sample in samples]),
        "wrong answers": ("wrong answers", [sample.wrong_answers for sample in samples]),
    }


def _draw(result: SoakResult) -> str:
    panels: dict[str, dict[str, list[float]]] = {}
    for name, (panel, values) in _curves(result).items():
        panels.setdefault(panel, {})[name] = values
    seconds = [sample.seconds for sample in result.samples]
    return plot(seconds, [Panel(title, curves) for title, curves in panels.items()], result.kills)


def _report(result: SoakResult) -> dict[str, Any]:
    slopes = {}
    for name, (_, values) in _curves(result).items():
        eighth = max(1, len(values) // 8)
        slopes[name] = {
            "begin": sum(values[:eighth]) / eighth,
            "end": sum(values[-eighth:]) / eighth,
            "most": max(values),
            "last": values[-1],
            "slope": slope_per_1000_requests(result.samples, values),
        }
    actions = {}
    for name, done in result.done.most_common():
        durations = sorted(result.durations[name])
        actions[name] = {
            "done": done,
            "refused": result.refused[name],
            "lost": result.lost[name],
            "p50": percentile(durations, 0.5),
            "p99": percentile(durations, 0.99),
            "slowest": durations[-1],
        }
    return {"slopes": slopes, "acts": actions, "kills": len(result.kills), "wrong": result.wrong}


def _print(result: SoakResult) -> None:
    report = _report(result)
    rows = [
        (name, *(f"{1000 * value:.0f}" if isinstance(value, float) else value for value in row.values()))
        for name, row in report["acts"].items()
    ]
    print(markdown_table(("action", "done", "refused", "lost in a kill", "p50 ms", "p99 ms", "slowest ms"), rows))
    print(f"\n{result.done.total()} requests, {len(result.kills)} kills, {len(result.wrong)} wrong answers\n")
    head = ("", "first eighth", "last eighth", "most", "left alone", "per 1000 requests")
    rows = [(name, *(f"{value:.2f}" for value in row.values())) for name, row in report["slopes"].items()]
    print(markdown_table(head, rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Soak as *argv* says and print the result; returns 1 if an answer was wrong or the oldest worker died."""
    parser = _arguments()
    arguments = parser.parse_args(argv)
    if arguments.processes < 2:
        parser.error("--processes: at least 2, as one worker is killed now and then and the oldest never")
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            origin_url = stack.enter_context(_good_origin())
            hostile = start_hostile_origin(draw_photo(64, 48, grain=3, quality=80))
            stack.callback(hostile.server.close)
            server = stack.enter_context(
                imgforge_server(directory, _settings(directory / "cache", arguments.processes))
            )
            target = SoakTarget(
                address=server.address,
                origin_url=origin_url,
                expected_bodies=_expected_bodies(server, origin_url),
                bomb_urls=hostile.bomb_urls,
                broken_urls=hostile.broken_urls,
                large_url=hostile.large_url,
                purge_secret=_SECRET,
            )
            plan = SoakPlan(
                seconds=arguments.minutes * 60,
                good_clients=arguments.good,
                hostile_clients=arguments.hostile,
                kill_interval=arguments.kill_every,
                seed=arguments.seed,
            )
            result = soak(target, server.pid or 0, plan)
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    for line in result.wrong[:40]:
        print_progress(line)
    if arguments.plot:
        Path(arguments.plot).write_text(_draw(result), encoding="utf-8")
    if not write_json(arguments.json, {"machine": describe_machine(), **_report(result)}):
        _print(result)
    if not result.oldest_worker_survived:
        print_progress("the oldest worker, which is never killed here, has died")
    return 1 if result.wrong or not result.oldest_worker_survived else 0


if __name__ == "__main__":
    sys.exit(main())
