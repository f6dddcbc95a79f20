"""What a full disk tier costs: its start, its look-ups and its memory, with few entries and with many, side by side.

    python bench/entries.py --directory /var/tmp/entries --entries 1000 1000000

For each number a directory is filled with entries of the real format, by several processes, and then judged by others:
the time until a tier has started and answered its first look-up, the time of a look-up that finds and of one that does
not, the resident memory at the end and what of it came since the start, and the time in which the janitor walks through
all. The directories are removed at the end. JSON on standard output; a table with --markdown.
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
    """The key of an entry, spread as real ones are."""
    return blake2b(str(number).encode(), digest_size=32).digest()


def fill(root: str, first: int, last: int, size: int) -> None:
    """Write the entries from *first* up to *last*, with bodies of *size* bytes."""
    from imgforge.cache import entry_path, write_entry
    from imgforge.model import CacheEntry, Rendition

    for number in range(first, last):
        rendition = Rendition(os.urandom(size), "webp", "image/webp", 300, 200, "jpeg", 3000, 2000, 500_000)
        entry = CacheEntry(rendition, time.time(), f"{number:032x}", source=f"http://origin.example/{number}.jpg")
        key = key_of(number)
        write_entry(entry_path(root, key), key, entry)


def resident_mb() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def judge(root: str, count: int) -> None:
    """Start a tier on *root*, look up what is there and what is not, and print what that took."""
    from twisted.internet import reactor
    from twisted.internet.defer import ensureDeferred

    from imgforge.cache import CacheSettings, make_cache

    running: Any = reactor

    async def measure() -> None:
        before = resident_mb()
        began = time.perf_counter()
        cache = make_cache(running, CacheSettings("disk", disk_path=root, disk_capacity=0, disk_max_bytes=0), print)
        assert cache is not None  # noqa: S101
        cache.startService()
        await cache.get(key_of(-1))
        found = {"entries": count, "start_ms": (time.perf_counter() - began) * 1e3}
        numbers = random.Random(1).choices(range(count), k=_LOOK_UPS)
        for name, asked in (("hit_us", numbers), ("miss_us", [-2 - number for number in numbers])):
            began = time.perf_counter()
            hits = sum([await cache.get(key_of(number)) is not None for number in asked])
            found[name] = (time.perf_counter() - began) / len(asked) * 1e6
            if hits != (len(asked) if name == "hit_us" else 0):
                raise SystemExit(f"{hits} of {len(asked)} look-ups found something")
        found["rss_mb"] = resident_mb()
        found["grown_mb"] = found["rss_mb"] - before
        await cache.stopService()
        print(json.dumps(found))
        running.stop()

    def start() -> None:
        ensureDeferred(measure()).addErrback(lambda failure: (failure.printTraceback(), running.stop()))

    running.callWhenRunning(start)
    running.run()


def walk(root: str) -> float:
    """Seconds in which a process counts all entries, as the janitor does."""
    from imgforge.cache import DiskLimits, sweep

    began = time.perf_counter()
    sweep(root, DiskLimits())
    return time.perf_counter() - began


def _again(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _filled(root: Path, count: int, size: int, processes: int) -> None:
    bounds = [count * part // processes for part in range(processes + 1)]
    writers = [_again("--fill", root, *pair, size) for pair in pairwise(bounds)]
    statuses = [writer.wait() for writer in writers]  # all of them, before anything is removed
    if any(statuses):
        raise SystemExit("the directory could not be filled")


def _judged(root: Path, count: int, times: int) -> dict[str, float]:
    """The least of each figure: what the machine does besides can only add to it."""
    rounds = []
    for _ in range(times):
        output, _ = _again("--judge", root, count).communicate()
        rounds.append(json.loads(output))
    return {name: min(one[name] for one in rounds) for name in rounds[0]} | {"walk_s": walk(str(root))}


def _table(rows: list[dict[str, float]]) -> str:
    lines = ["| " + " | ".join(title for _, title, _ in _COLUMNS) + " |", "|" + "---:|" * len(_COLUMNS)]
    for row in rows:
        shown = (format(int(row[name]) if kind == "d" else row[name], kind) for name, _, kind in _COLUMNS)
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill, judge, remove; or be one of the processes that do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="where to make the directories of entries")
    parser.add_argument("--entries", type=int, nargs="+", default=[1000, 1_000_000], help="numbers of entries")
    parser.add_argument("--size", type=int, default=200, help="bytes of a body")
    parser.add_argument("--processes", type=int, default=2, help="processes that fill a directory")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is judged; the least counts")
    parser.add_argument("--markdown", action="store_true", help="print a table")
    parser.add_argument("--fill", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--judge", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.fill:
        root, first, last, size = given.fill
        fill(root, int(first), int(last), int(size))
    elif given.judge:
        judge(given.judge[0], int(given.judge[1]))
    elif given.directory is None:
        parser.error("--directory is needed")
    else:
        rows = []
        for count in given.entries:
            root = given.directory / str(count)
            root.mkdir(parents=True)
            try:
                _filled(root, count, given.size, given.processes)
                rows.append(_judged(root, count, given.rounds))
                print(json.dumps(rows[-1]), file=sys.stderr)  # the removal may take long
            finally:
                shutil.rmtree(root)
        print(_table(rows) if given.markdown else json.dumps(rows, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
