"""Signing and checking in batches: CPU time and memory of `imgforge sign --batch` and `verify --batch`.

    python bench/sign.py                             a million paths
    python bench/sign.py --paths 100000 --rounds 5

Each program reads the same paths from a file and writes to another. Beside them runs a loop as an application has it:
an HMAC of key, salt and path for each line, by Python's standard library. Prints the lowest CPU time of the rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its name

from bench.output import add_json_argument, describe_machine, markdown_table, print_progress, write_json

__all__ = ["main"]

_KEYS = {"IMGFORGE_KEY": "aa" * 32, "IMGFORGE_SALT": "bb" * 32}
# The last line on standard error. That of wait4 would be the memory of this program, from before it became another.
_TELL_MEMORY = """
import atexit, sys
from pathlib import Path

tell = lambda: print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], file=sys.stderr)
atexit.register(tell)
"""
_IMGFORGE = (sys.executable, "-c", f"{_TELL_MEMORY}\nfrom imgforge.cli import main; main()")
_LOOP = (
    _TELL_MEMORY
    + """
import base64, hashlib, hmac, os, sys

key, salt = (bytes.fromhex(os.environ[f"IMGFORGE_{name}"]) for name in ("KEY", "SALT"))
for line in sys.stdin:
    path = line.rstrip("\\n")
    digest = hmac.new(key, salt + path.encode(), hashlib.sha256).digest()
    print("/" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode() + path)
"""
)
_OPTIONS = "rs:fill:300:200/q:80"


@dataclass(frozen=True, slots=True)
class Measured:
    """A program's CPU seconds (user and system), its bytes of memory at the most, and the lines that it wrote."""

    name: str
    cpu: float
    memory: int
    lines: int


# The name of each program, its input, its command; all but the loop read their input as a file.
_PROGRAMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("loop in Python", "paths.txt", (sys.executable, "-c", _LOOP)),
    ("sign, lines", "paths.txt", (*_IMGFORGE, "sign", "--batch")),
    ("sign, CSV", "sources.csv", (*_IMGFORGE, "sign", "--options", _OPTIONS, "--format", "webp", "--batch")),
    ("sign, JSON lines", "sources.jsonl", (*_IMGFORGE, "sign", "--options", _OPTIONS, "--format", "webp", "--batch")),
    ("verify, lines", "signed.txt", (*_IMGFORGE, "verify", "--batch")),
)

_LINES: dict[str, Callable[[int], str]] = {
    "paths.txt": lambda number: f"/{_OPTIONS}/plain/https://example.com/photos/{number}.jpg@webp",
    "sources.csv": lambda number: f"{number},https://example.com/photos/{number}.jpg" if number else "id,source",
    "sources.jsonl": lambda number: f'{{"id":{number},"source":"https://example.com/photos/{number}.jpg"}}',
}


def _measure(name: str, command: Sequence[str], given: Path, result: Path) -> Measured:
    """Run *command* on the file *given*, its standard output into *result*; CalledProcessError if it fails."""
    environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("IMGFORGE_")}
    environment |= _KEYS | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    arguments = [*command, str(given)] if command[-1] == "--batch" else list(command)
    with given.open("rb") as source, result.open("wb") as output:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = subprocess.run(
            arguments, stdin=source, stdout=output, stderr=subprocess.PIPE, env=environment, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with result.open("rb") as written:
        lines = sum(1 for _ in written)
    return Measured(name, cpu, 1024 * int(ended.stderr.split()[-1]), lines)


def _measure_all(directory: Path, paths: int, rounds: int) -> list[Measured]:
    for name, line in _LINES.items():
        with (directory / name).open("w", encoding="utf-8") as file:
            file.writelines(f"{line(number)}\n" for number in range(paths))
    best: dict[str, Measured] = {}
    for _ in range(rounds):
        for name, given, command in _PROGRAMS:
            result = directory / ("signed.txt" if name == "sign, lines" else "result")
            measured = _measure(name, command, directory / given, result)
            best[name] = min(best.get(name, measured), measured, key=lambda one: one.cpu)
    return list(best.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Measure as often as *argv* says and print a table; returns 1 if a program fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=1_000_000, help="number of paths (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    add_json_argument(parser)
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as directory:
            measured = _measure_all(Path(directory), arguments.paths, arguments.rounds)
    except (subprocess.CalledProcessError, OSError) as failure:
        print_progress(str(failure))
        return 1
    report = {"machine": describe_machine(), "paths": arguments.paths, "programs": [asdict(one) for one in measured]}
    if not write_json(arguments.json, report):
        rows = (
            (one.name, f"{one.cpu:.2f}", f"{1e6 * one.cpu / arguments.paths:.2f}", f"{one.memory / 1e6:.0f}")
            for one in measured
        )
        print(markdown_table((f"{arguments.paths} paths", "CPU s", "us a path", "MB"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
