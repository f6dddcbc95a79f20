"""The expected counts of `instructions.py`: the file that keeps them, what they depend on, and their comparison."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyvips

__all__ = ["EXPECTED", "ExpectedCounts", "deviations", "differences", "environment", "read_counts", "write_counts"]

EXPECTED = Path(__file__).with_name("instructions.toml")
_HEAD = """\
# Instructions for each piece of work, and what the counts depend on: `python bench/instructions.py --write` counts them
# anew, --check compares.
"""


@dataclass(frozen=True, slots=True)
class ExpectedCounts:
    """Counts by name of the work, and the environment that they were made in."""

    environment: Mapping[str, str]
    instructions: Mapping[str, int]


def environment() -> dict[str, str]:
    """Return what makes counts differ while imgforge stays as it is.

    Callgrind shows programs a processor of its own making, so that only AVX2, which it passes on, chooses between
    implementations of a function.
    """
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split() if sys.platform == "linux" else []
    command = ("valgrind", "--version")
    return {
        "python": " ".join(sys.version.split()),
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
        "pyvips": "compiled"
        if pyvips.API_mode
        else "at run time",  # how it was bound: wheels with libvips are compiled
        "valgrind": subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(),
        "processor": platform.machine() + (" with AVX2" if "avx2" in flags else ""),
    }


def read_counts(path: Path) -> ExpectedCounts:
    """Return the counts in the file *path*."""
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    return ExpectedCounts(read["environment"], read["instructions"])


def write_counts(path: Path, counts: ExpectedCounts) -> None:
    """Write *counts* to the file *path*."""
    lines = [_HEAD, "[environment]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in counts.environment.items()]
    lines += ["", "[instructions]"]
    lines += [f"{json.dumps(name)} = {count:_}" for name, count in counts.instructions.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return a line for each fact of the environment *found* that is not as *expected*."""
    return [
        f"{name} {found.get(name, 'unknown')!r} instead of {expected.get(name, 'unknown')!r}"
        for name in {**expected, **found}
        if found.get(name) != expected.get(name)
    ]


def deviations(
    expected: Mapping[str, int], counted: Mapping[str, int], tolerance: float
) -> tuple[list[str], list[str]]:
    """Return a line for each count that is above, and for each that is below, by more than the share *tolerance*.

    What nothing is expected of does not deviate.
    """
    above: list[str] = []
    below: list[str] = []
    for name, count in counted.items():
        before = expected.get(name, count)
        difference = abs(count - before)
        if difference > tolerance * before:
            word = "more" if count > before else "fewer"
            line = f"{name}: {count:,} instructions, {difference / before:.1%} {word} than the expected {before:,}"
            (above if count > before else below).append(line)
    return above, below
