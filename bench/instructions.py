"""Instructions per hit and per small image, which other load on the machine does not change.

    python bench/instructions.py                   count, and show in which libraries they are
    python bench/instructions.py --check           fail if a count is 3 % above that of bench/instructions.toml
    python bench/instructions.py --write           expect from now on what is counted now
    python bench/instructions.py --only engine     the engine alone

imgforge runs in one process under valgrind's callgrind. Each piece of work is done N times and 2N times; the difference
over N is what one takes, without the start and without idle timers. The images are those of small.py and go into the
memory cache; "engine" is imgforge.processing.process alone, without HTTP, cache and threads. What the kernel does is
not counted: for a hit that is most of its time.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.callgrind import LIBRARIES, OTHER, Callgrind, CallgrindFailed, missing_programs
from bench.instruction_counts import (
    EXPECTED,
    ExpectedCounts,
    deviations,
    differences,
    environment,
    read_counts,
    write_counts,
)
from bench.load import drive
from bench.output import add_json_argument, markdown_table, measure_with_servers, print_progress, write_json
from bench.servers import free_port, imgforge_server, running_process
from bench.workloads import SMALL_WORKLOADS, Workload, draw_missing_photos, image_path

__all__ = ["main"]

_SETTINGS = {
    "IMGFORGE_PROCESSES": "1",
    "IMGFORGE_WORKERS": "2",
    "IMGFORGE_CACHE_TYPE": "memory",
    "IMGFORGE_SOURCE_CACHE_TYPE": "",
    "PYTHONHASHSEED": "0",
}
_HITS = 300  # hits that are counted for each image that is: a hit takes some three hundredth of its instructions
_WARM_UP = 10  # images that are not counted: Python specialises functions that are called often
_ANEW = "run `python bench/instructions.py --write` and commit the file"
_START = 180.0  # seconds that a start under valgrind may take


@dataclass(frozen=True, slots=True)
class _Work:
    """A piece of work of the process *pid*: *do* does it a number of times, *weight* times as often as others."""

    name: str
    pid: int
    do: Callable[[int], None]
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of one piece of work: the median of the repeats, their range as a share of it, their libraries."""

    name: str
    instructions: int
    spread: float
    libraries: Mapping[str, int]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="exit with 1 if a count is too far above the expected one")
    what.add_argument("--write", action="store_true", help="write the counts to the file of expected ones")
    parser.add_argument("--expected", type=Path, default=EXPECTED, metavar="FILE", help=f"default: {EXPECTED.name}")
    parser.add_argument("--tolerance", type=float, default=3.0, metavar="PERCENT", help="for --check (default: 3)")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the work whose name contains WORDS")
    parser.add_argument("--times", type=int, default=6, help="N for images; hits are more (default: 6)")
    parser.add_argument("--repeats", type=int, default=5, help="counts of each work (default: 5)")
    add_json_argument(parser)
    return parser


def _names(prefix: str) -> list[str]:
    return [f"{prefix}: {workload.title}" for workload in SMALL_WORKLOADS]


@contextmanager
def _server(callgrind: Callgrind, pictures: Path) -> Iterator[Iterable[_Work]]:
    """Run imgforge, and yield hits and images as work that it does over one connection."""
    cachebusters = itertools.count(1_000_000)

    def path(workload: Workload, number: int) -> str:
        return image_path(f"{workload.options}/cb:{number}", f"local:///{workload.source}", workload.format)

    with imgforge_server(pictures, _SETTINGS, launcher=callgrind.launcher, listen_timeout=_START) as server:

        def send(paths: Iterable[str]) -> None:
            if drive(server.address, paths, connections=1).failures:
                raise CallgrindFailed("imgforge answered with an error under callgrind")

        def hits(times: int) -> None:
            send(itertools.repeat(path(SMALL_WORKLOADS[0], 0), times))

        def images(workload: Workload) -> Callable[[int], None]:
            return lambda times: send(path(workload, number) for number in itertools.islice(cachebusters, times))

        pid = server.pid or 0
        yield (
            _Work("hit", pid, hits, _HITS),
            *(_Work(name, pid, images(work)) for name, work in zip(_names("image"), SMALL_WORKLOADS, strict=True)),
        )


@contextmanager
def _engine(callgrind: Callgrind, pictures: Path) -> Iterator[Iterable[_Work]]:
    """Run `engine_rounds.py`, and yield the images as its work."""
    port = free_port()
    program = Path(__file__).with_name("engine_rounds.py")
    command = (*callgrind.launcher, sys.executable, str(program), str(port), str(pictures))
    with (
        running_process(command, port, settings={"PYTHONHASHSEED": "0"}, listen_timeout=_START) as pid,
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rw") as stream,
    ):

        def images(number: int) -> Callable[[int], None]:
            def do(times: int) -> None:
                stream.write(f"{number} {times}\n")
                stream.flush()
                if stream.readline() != "done\n":
                    raise CallgrindFailed("the engine failed under callgrind")

            return do

        yield [_Work(name, pid, images(number)) for number, name in enumerate(_names("engine"))]


def _count(callgrind: Callgrind, work: _Work, times: int, repeats: int) -> Counted:
    """Count *work*. The median leaves out a count with a full garbage collection, which is that of many images."""
    work.do(_WARM_UP * work.weight)
    times *= work.weight
    counts: list[Counter[str]] = []
    for _ in range(repeats):
        once = callgrind.count(work.pid, lambda: work.do(times))
        twice = callgrind.count(work.pid, lambda: work.do(2 * times))
        counts.append(Counter({group: round((twice[group] - once[group]) / times) for group in twice}))
    counts.sort(key=Counter.total)
    median = counts[len(counts) // 2]
    spread = (counts[-1].total() - counts[0].total()) / median.total()
    return Counted(work.name, median.total(), spread, median)


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> list[Counted]:
    pictures, directory = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
    draw_missing_photos(pictures, SMALL_WORKLOADS)
    callgrind = Callgrind(directory)
    counted = []
    for names, process in ((["hit", *_names("image")], _server), (_names("engine"), _engine)):
        chosen = [name for name in names if arguments.only in name]
        if not chosen:
            continue
        with process(callgrind, pictures) as works:
            for work in works:
                if work.name not in chosen:
                    continue
                callgrind.begin(work.pid)
                counted.append(_count(callgrind, work, arguments.times, arguments.repeats))
                print_progress(f"  {work.name}: {counted[-1].instructions:,}")
    return counted


def _print(counted: Sequence[Counted], expected: ExpectedCounts | None) -> None:
    """Print counts, beside *expected* ones if there are any, and then the libraries."""
    rows = []
    for row in counted:
        before = expected.instructions.get(row.name) if expected else None
        change = f"{row.instructions / before - 1:+.1%}" if before else "-"
        rows.append((row.name, f"{row.instructions:,}", f"{row.spread:.1%}", f"{before:,}" if before else "-", change))
    print(markdown_table(("work", "instructions", "spread", "expected", "change"), rows))
    groups = [group for group, _ in LIBRARIES] + [OTHER]
    shares = (
        (row.name, *(f"{row.libraries.get(group, 0) / row.instructions:.1%}" for group in groups)) for row in counted
    )
    print(f"\n{markdown_table(('work', *groups), shares)}")


def _check(counted: Sequence[Counted], expected: ExpectedCounts, arguments: argparse.Namespace) -> int:
    """Say which counts are too far from the expected ones; returns 1 if one is above."""
    counts = {row.name: row.instructions for row in counted}
    above, below = deviations(expected.instructions, counts, arguments.tolerance / 100)
    for line in above:
        print_progress(f"{line}. Find what costs them, with `git bisect` if need be; if it is worth them, {_ANEW}")
    for line in below:
        print_progress(f"{line}. So that they stay away, {_ANEW}")
    return int(bool(above))


def main(argv: Sequence[str] | None = None) -> int:
    """Count as *argv* says and print the result; returns 1 on a failure, or if `--check` finds more than expected."""
    arguments = _arguments().parse_args(argv)
    if missing := missing_programs():
        print_progress(f"nothing is counted: {' and '.join(missing)} not found; install valgrind")
        return int(not arguments.check)
    here = environment()
    expected = read_counts(arguments.expected) if arguments.expected.exists() else None
    if expected and (unlike := differences(expected.environment, here)):
        print_progress(f"not compared: {arguments.expected} is of another environment: {'; '.join(unlike)}")
        expected = None
        if arguments.check:
            return 0
    try:
        counted = measure_with_servers(_measure, arguments)
    except CallgrindFailed as failure:
        print_progress(str(failure))
        return 1
    if counted is None:
        return 1
    if not write_json(arguments.json, {"environment": here, "counts": [asdict(row) for row in counted]}):
        _print(counted, expected)
    if arguments.write:
        write_counts(arguments.expected, ExpectedCounts(here, {row.name: row.instructions for row in counted}))
    return _check(counted, expected, arguments) if arguments.check and expected else 0


if __name__ == "__main__":
    sys.exit(main())
