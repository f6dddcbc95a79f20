"""The costs of a full disk cache: start, look-ups and memory, with few entries and with many.

    python bench/entries.py --directory /var/tmp/entries --entries 1000 1000000

For each number several processes fill a directory with entries of the real format. Other processes then measure the
time until a disk tier has started and answered its first look-up, the time of a hit and of a miss, the resident memory
at the end and its growth since the start, and the time in which a sweep reads the whole directory. The directories are
removed at the end. Prints JSON; a table with --markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

_LOOK_UPS = 3000
_COLUMNS = (
    ("entries", "entries", "d"),
    ("start_ms", "start ms", ".1f"),
    ("hit_us", "hit us", ".0f"),
    ("miss_us", "miss us", ".0f"),
    ("rss_mb", "RSS MB", ".1f"),
    ("grown_mb", "grown MB", ".2f"),
    ("walk_s", "walk s", ".2f"),
)


def key_of(number: int) -> bytes:
    """Return the cache key of entry *number*, a hash as real keys are."""
    return blake2b(str(number).encode(), digest_size=32).digest()


def fill_directory(root: str, first: int, last: int, size: int) -> None:
    """Write the entries *first* to *last* - 1, with bodies of *size* bytes."""
    from imgforge.cache import entry_path, write_entry
    from imgforge.model import CacheEntry, Rendition

    for number in range(first, last):
        rendition = Rendition(os.urandom(size), "webp", "image/webp", 300, 200, "jpeg", 3000, 2000, 500_000)
        entry = CacheEntry(rendition, time.time(), f"{number:032x}", source=f"http://origin.example/{number}.jpg")
        key = key_of(number)
        write_entry(entry_path(root, key), key, entry)


def resident_mb() -> float:
    """Return the resident memory of this process in megabytes (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_tier(root: str, count: int) -> None:
    """Start a disk tier on *root* with *count* entries, look up hits and misses, and print the figures as JSON."""
    from twisted.internet import reactor
    from twisted.internet.defer import ensureDeferred

    from imgforge.cache import CacheSettings, make_cache

    real_reactor: Any = reactor

    async def measure() -> None:
        before = resident_mb()
        began = time.perf_counter()
        cache = make_cache(
            real_reactor, CacheSettings("disk", disk_path=root, disk_capacity=0, disk_max_bytes=0), print
        )
        assert cache is not None  # noqa: S101
        cache.startService()
        await cache.get(key_of(-1))
        figures = {"entries": count, "start_ms": (time.perf_counter() - began) * 1e3}
        numbers = random.Random(1).choices(range(count), k=_LOOK_UPS)
        for name, looked_up in (("hit_us", numbers), ("miss_us", [-2 - number for number in numbers])):
            began = time.perf_counter()
            hits = sum([await cache.get(key_of(number)) is not None for number in looked_up])
            figures[name] = (time.perf_counter() - began) / len(looked_up) * 1e6
            if hits != (len(looked_up) if name == "hit_us" else 0):
                raise SystemExit(f"{hits} of {len(looked_up)} look-ups were hits")
        figures["rss_mb"] = resident_mb()
        figures["grown_mb"] = figures["rss_mb"] - before
        await cache.stopService()
        print(json.dumps(figures))
        real_reactor.stop()

    def start() -> None:
        ensureDeferred(measure()).addErrback(lambda failure: (failure.printTraceback(), real_reactor.stop()))

    real_reactor.callWhenRunning(start)
    real_reactor.run()


def sweep_seconds(root: str) -> float:
    """Return the seconds that one sweep of the eviction takes, which reads the metadata of all entries."""
    from imgforge.cache import DiskLimits, sweep

    began = time.perf_counter()
    sweep(root, DiskLimits())
    return time.perf_counter() - began


def _start_self(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _fill_in_parallel(root: Path, count: int, size: int, processes: int) -> None:
    bounds = [count * part // processes for part in range(processes + 1)]
    writers = [_start_self("--fill", root, *pair, size) for pair in pairwise(bounds)]
    statuses = [writer.wait() for writer in writers]  # wait for all of them before the directory is removed
    if any(statuses):
        raise SystemExit(f"a process that fills {root} failed")


def _measure(root: Path, count: int, rounds: int) -> dict[str, float]:
    """Return the minimum of each figure over *rounds*, as other load on the machine can only increase it."""
    measured = []
    for _ in range(rounds):
        output, _ = _start_self("--judge", root, count).communicate()
        measured.append(json.loads(output))
    return {name: min(figures[name] for figures in measured) for name in measured[0]} | {
        "walk_s": sweep_seconds(str(root))
    }


def _table(rows: list[dict[str, float]]) -> str:
    lines = ["| " + " | ".join(title for _, title, _ in _COLUMNS) + " |", "|" + "---:|" * len(_COLUMNS)]
    for row in rows:
        cells = (format(int(row[name]) if kind == "d" else row[name], kind) for name, _, kind in _COLUMNS)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill, measure and remove the directories; with a hidden argument, be one of the processes that do so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where to create the directories of entries")
    parser.add_argument(
        "--entries", type=int, nargs="+", default=[1000, 1_000_000], help="numbers of entries, one directory each"
    )
    parser.add_argument("--size", type=int, default=200, help="bytes of a body")
    parser.add_argument("--processes", type=int, default=2, help="processes that fill a directory")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often each directory is measured; the minimum counts"
    )
    parser.add_argument("--markdown", action="store_true", help="print a table")
    parser.add_argument("--fill", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--judge", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.fill:
        root, first, last, size = arguments.fill
        fill_directory(root, int(first), int(last), int(size))
    elif arguments.judge:
        measure_tier(arguments.judge[0], int(arguments.judge[1]))
    elif arguments.directory is None:
        parser.error("--directory is needed")
    else:
        rows = []
        for count in arguments.entries:
            directory = arguments.directory / str(count)
            directory.mkdir(parents=True)
            try:
                _fill_in_parallel(directory, count, arguments.size, arguments.processes)
                rows.append(_measure(directory, count, arguments.rounds))
                print(json.dumps(rows[-1]), file=sys.stderr)  # the removal may take long
            finally:
                shutil.rmtree(directory)
        print(_table(rows) if arguments.markdown else json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
