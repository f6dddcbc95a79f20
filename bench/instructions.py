"""Instructions per hit and per small image, which other load on the machine does not change.

    python bench/instructions.py                   count, and show in which libraries they are
    python bench/instructions.py --check           fail if a count is 3 % above that of bench/instructions.toml
    python bench/instructions.py --write           expect from now on what is counted now
    python bench/instructions.py --only engine     the engine alone

imgforge runs in one process under valgrind's callgrind. Each piece of work is done N times and 2N times; the difference
over N is what one takes, without the start; what timers do is taken off. The images are those of small.py and go into
the memory cache; "engine" is imgforge.processing.process alone, without HTTP, cache and threads. What the kernel does
is not counted: for a hit that is most of its time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.callgrind import LIBRARIES, OTHER, Callgrind, CallgrindFailed, CountedProcess, missing_programs
from bench.instruction_counts import (
    EXPECTED,
    ExpectedCounts,
    deviations,
    differences,
    environment,
    read_counts,
    write_counts,
)
from bench.instruction_works import ENGINE_NAMES, SERVER_NAMES, Work, engine_works, server_works
from bench.output import add_json_argument, markdown_table, measure_with_servers, print_progress, write_json
from bench.workloads import SMALL_WORKLOADS, draw_missing_photos

__all__ = ["Counted", "count_work", "main"]

_WARM_UP = 10  # images that are not counted: Python specialises functions that are called often
_ANEW = "run `python bench/instructions.py --write` and commit the file"


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of one piece of work, the range of the repeats as a share of the least, and the libraries."""

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


def count_work(process: CountedProcess, work: Work, times: int, repeats: int) -> Counted:
    """Count *work*. The least of the repeats counts: others have a full garbage collection in them, or a timer more."""
    times *= work.weight
    once, twice = [], []
    for _ in range(repeats):
        once.append(process.count(lambda: work.do(times)))
        twice.append(process.count(lambda: work.do(2 * times)))
    few, many = (min(counts, key=Counter.total) for counts in (once, twice))
    if many.total() <= few.total():
        raise CallgrindFailed(f"{work.name}: process {process.pid} does none of it; imgforge works in another process")
    libraries = {group: round((many[group] - few[group]) / times) for group in many}
    spread = max(map(Counter.total, twice)) / many.total() - 1
    return Counted(work.name, sum(libraries.values()), spread, libraries)


def _measure(stack: ExitStack, arguments: argparse.Namespace) -> list[Counted]:
    pictures, directory = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
    draw_missing_photos(pictures, SMALL_WORKLOADS)
    counted = []
    for names, started in ((SERVER_NAMES, server_works), (ENGINE_NAMES, engine_works)):
        if not any(arguments.only in name for name in names):
            continue
        with started(Callgrind(directory), pictures) as (process, works):
            chosen = [work for work in works if arguments.only in work.name]
            for work in chosen:
                work.do(_WARM_UP * work.weight)
            process = process.with_idle()
            for work in chosen:
                counted.append(count_work(process, work, arguments.times, arguments.repeats))
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
        kept = expected.instructions if expected else {}
        counts = {row.name: row.instructions for row in counted}
        write_counts(arguments.expected, ExpectedCounts(here, {**kept, **counts}))
    return _check(counted, expected, arguments) if arguments.check and expected else 0


if __name__ == "__main__":
    sys.exit(main())
