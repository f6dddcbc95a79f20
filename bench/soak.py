"""Minutes of good and hostile traffic at once: what answers were wrong, and what grows.

    python bench/soak.py                                     ten minutes
    python bench/soak.py --minutes 1 --plot soak.svg

Good clients ask for kept and for unseen images, and every answer must be, byte for byte, the one of a calm server. The
others send bombs, origins that break HTTP or are silent, garbage, giant heads and floods; they read and write slowly,
leave early, and purge. A worker is killed now and then; what was under way in it is counted apart, and so is 429. One
worker is never killed: what "one worker" has is its own, without its children. Slopes are those of the second half of
the run, per 1000 requests.
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

from bench.hostile_origin import bad_origin
from bench.load import fetch, percentile
from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json
from bench.pictures import stand_in
from bench.servers import Server, StartFailed, free_port, imgforge_server, running_process
from bench.soak_clients import WIDTHS, SoakTarget, good_path
from bench.soak_run import SoakResult, slope, soak
from bench.svg_plot import Panel, plot

__all__ = ["main"]

_SECRET = "soak"  # noqa: S105  of a server that only we reach
_PICTURES = 8
_MB = 1 << 20


def _settings(directory: Path, processes: int) -> dict[str, str]:
    """Small caches, so that they are full soon and turn over; short patience, so that much happens."""
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
    """An origin with the good pictures, at the base URL that is yielded."""
    with tempfile.TemporaryDirectory() as directory:
        for number in range(_PICTURES):
            picture = stand_in(400 + 40 * number, 300, grain=3, quality=80)
            (Path(directory) / f"{number}.jpg").write_bytes(picture)
        port = free_port()
        program = str(Path(__file__).with_name("slow_origin.py"))
        with running_process((sys.executable, program, directory, str(port), "0.01"), port):
            yield f"http://127.0.0.1:{port}"


def _calm(server: Server, origin: str) -> dict[tuple[int, int], bytes]:
    """The right answers, asked for before anything happens."""
    right = {}
    for picture in range(_PICTURES):
        for width in WIDTHS:
            answer = fetch(server.address, good_path(origin, "calm", picture, width))
            if answer.status != 200:
                raise StartFailed(f"a good image is answered with {answer.status}: {answer.body[:200]!r}")
            right[picture, width] = answer.body
    if len(set(right.values())) < len(right):
        raise StartFailed("two images are alike")
    return right


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--processes", type=int, default=2, help="worker processes, at least 2 (default: 2)")
    parser.add_argument("--good", type=int, default=3, help="good clients (default: 3)")
    parser.add_argument("--hostile", type=int, default=8, help="hostile clients (default: 8)")
    parser.add_argument("--kill-every", type=float, default=45, help="seconds between two kills (default: 45)")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do (default: 1)")
    parser.add_argument("--plot", metavar="FILE", help="draw memory, descriptors, threads and wrong answers as SVG")
    add_json_argument(parser)
    return parser


def _curves(record: SoakResult) -> dict[str, tuple[str, list[float]]]:
    """What is plotted and fitted: by name its panel and its values."""
    looks = record.looks
    return {
        "MB of all": ("memory, MB", [look.tree.memory / _MB for look in looks]),
        "MB of one worker": ("memory, MB", [look.elder.memory / _MB for look in looks]),
        "descriptors of all": ("descriptors", [look.tree.descriptors for look in looks]),
        "descriptors of one worker": ("descriptors", [look.elder.descriptors for look in looks]),
        "threads of all": ("threads", [look.tree.threads for look in looks]),
        "threads of one worker": ("threads", [look.elder.threads for look in looks]),
        "wrong answers": ("wrong answers", [look.wrong for look in looks]),
    }


def _draw(record: SoakResult) -> str:
    panels: dict[str, dict[str, list[float]]] = {}
    for name, (panel, values) in _curves(record).items():
        panels.setdefault(panel, {})[name] = values
    moments = [look.seconds for look in record.looks]
    return plot(moments, [Panel(title, curves) for title, curves in panels.items()], record.kills)


def _report(record: SoakResult) -> dict[str, Any]:
    slopes = {}
    for name, (_, values) in _curves(record).items():
        eighth = max(1, len(values) // 8)
        slopes[name] = {
            "begin": sum(values[:eighth]) / eighth,
            "end": sum(values[-eighth:]) / eighth,
            "most": max(values),
            "last": values[-1],
            "slope": slope(record.looks, values),
        }
    acts = {}
    for name, done in record.done.most_common():
        took = sorted(record.took[name])
        acts[name] = {
            "done": done,
            "refused": record.refused[name],
            "lost": record.lost[name],
            "p50": percentile(took, 0.5),
            "p99": percentile(took, 0.99),
            "slowest": took[-1],
        }
    return {"slopes": slopes, "acts": acts, "kills": len(record.kills), "wrong": record.wrong}


def _print(record: SoakResult) -> None:
    report = _report(record)
    rows = [
        (name, *(f"{1000 * value:.0f}" if isinstance(value, float) else value for value in row.values()))
        for name, row in report["acts"].items()
    ]
    print(markdown_table(("act", "done", "refused", "lost in a kill", "p50 ms", "p99 ms", "slowest ms"), rows))
    print(f"\n{record.done.total()} requests, {len(record.kills)} kills, {len(record.wrong)} wrong answers\n")
    head = ("", "first eighth", "last eighth", "most", "left alone", "per 1000 requests")
    rows = [(name, *(f"{value:.2f}" for value in row.values())) for name, row in report["slopes"].items()]
    print(markdown_table(head, rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Soak as *argv* says and print what came of it; 1 where an answer was wrong."""
    parser = _arguments()
    arguments = parser.parse_args(argv)
    if arguments.processes < 2:
        parser.error("--processes: one worker is killed now and then, and one never")
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            origin = stack.enter_context(_good_origin())
            raw, bombs, broken, large = bad_origin(stand_in(64, 48, grain=3, quality=80))
            stack.callback(raw.close)
            server = stack.enter_context(
                imgforge_server(directory, _settings(directory / "cache", arguments.processes))
            )
            world = SoakTarget(server.address, origin, _calm(server, origin), bombs, broken, large, _SECRET)
            record = soak(
                world,
                server.pid or 0,
                arguments.minutes * 60,
                good=arguments.good,
                hostile=arguments.hostile,
                killing=arguments.kill_every,
                seed=arguments.seed,
            )
    except (StartFailed, OSError) as failure:
        print_progress(str(failure))
        return 1
    for line in record.wrong[:40]:
        print_progress(line)
    if arguments.plot:
        Path(arguments.plot).write_text(_draw(record), encoding="utf-8")
    if not write_json(arguments.json, {"machine": describe_machine(), **_report(record)}):
        _print(record)
    if not record.elder_lived:
        print_progress("the worker that is never killed has died")
    return 1 if record.wrong or not record.elder_lived else 0


if __name__ == "__main__":
    sys.exit(main())
