"""Runs a server under valgrind's callgrind and counts the instructions of a piece of its work.

Callgrind runs one thread at a time and counts every instruction outside the kernel, so that other load on the machine
changes nothing. Counting begins after the start, which is ten times as fast without it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = [
    "LIBRARIES",
    "OTHER",
    "Callgrind",
    "CallgrindFailed",
    "CountedProcess",
    "instructions_by_library",
    "library_group",
    "missing_programs",
]

_OBJECT = re.compile(r"(c?ob)=\((\d+)\)(?: (.*))?$")
_COST = re.compile(r"(?:\*|[+-]?\d+) (\d+)$")

# Names of tables for the files that instructions are in; the first pattern that matches a file's name counts.
LIBRARIES = (
    ("libvips, codecs", re.compile(r"lib(vips|glib|gobject|jpeg|png|spng|webp|sharpyuv|aom|heif|lcms2|z)\b.*\.so")),
    ("calls into it", re.compile(r"_cffi_backend|_libvips\.|libffi")),
    ("Python", re.compile(r"(lib)?python\d|.*\.cpython-")),
    ("C library", re.compile(r"lib(c|m|pthread|stdc\+\+|gcc_s)\b.*\.so|ld-linux")),
)
OTHER = "other"
_IDLE = 1.0  # seconds
_IDLE_REPEATS = 3


class CallgrindFailed(Exception):
    """A process under callgrind does not do what it is asked."""


def library_group(file: str) -> str:
    """Return the name of `LIBRARIES` for the path of a shared library or program."""
    name = Path(file).name
    return next((group for group, pattern in LIBRARIES if pattern.match(name)), OTHER)


def instructions_by_library(lines: Iterable[str]) -> Counter[str]:
    """Return the instructions of each shared library in a file of callgrind's (format version 1, positions by line).

    A line after `calls=` is the cost of what was called, which is counted where it was spent.
    """
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    library, called = "???", False
    for line in lines:
        if described := _OBJECT.match(line):
            kind, number, name = described.groups()
            if name is not None:
                names[number] = name
            if kind == "ob":
                library = names[number]
        elif line.startswith("calls="):
            called = True
        elif cost := _COST.match(line):
            if not called:
                found[library] += int(cost[1])
            called = False
    return found


@dataclass(frozen=True, slots=True)
class CountedProcess:
    """A process under callgrind, and the instructions a second that its timers execute while it has nothing to do."""

    pid: int
    directory: Path
    idle: Counter[str] = field(default_factory=Counter)

    def count(self, work: Callable[[], None]) -> Counter[str]:
        """Return the instructions by group of library that the process executes during *work*.

        They are without those of timers, which are the more the longer a busy machine makes it take.
        """
        self.take()
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        found: Counter[str] = Counter()
        for file, instructions in self.take().items():
            found[library_group(file)] += instructions
        found.subtract({group: round(seconds * instructions) for group, instructions in self.idle.items()})
        return found

    def with_idle(self) -> CountedProcess:
        """Return the process with its `idle` counted: it has to be warm, for a start leaves work behind."""
        counts = (self.count(lambda: time.sleep(_IDLE)) for _ in range(_IDLE_REPEATS))
        least = min(counts, key=Counter.total)
        return replace(self, idle=Counter({group: round(count / _IDLE) for group, count in least.items()}))

    def take(self) -> Counter[str]:
        """Return the instructions since the last call by library, and begin at zero."""
        self.command("dump")
        written = max(self.directory.glob(f"{self.pid}.*"), key=lambda path: int(path.suffix[1:]))
        with written.open(encoding="utf-8", errors="replace") as lines:
            return instructions_by_library(lines)

    def command(self, *words: str) -> None:
        """Send a command of callgrind's to the process; raises `CallgrindFailed` if it does not obey."""
        command = ("vgdb", f"--vgdb-prefix={self.directory}/vgdb", f"--pid={self.pid}", *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise CallgrindFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Callgrind:
    """Starts processes under callgrind, whose files are in *directory*."""

    directory: Path

    @property
    def launcher(self) -> tuple[str, ...]:
        """What precedes the command of the process."""
        return (
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--vgdb-prefix={self.directory}/vgdb",
            f"--callgrind-out-file={self.directory}/%p",
        )

    def begin(self, pid: int) -> CountedProcess:
        """Begin to count in the process *pid*, which `launcher` started."""
        process = CountedProcess(pid, self.directory)
        process.command("instrumentation", "on")
        return process


def missing_programs() -> list[str]:
    """Return the programs of valgrind that are not in PATH."""
    return [program for program in ("valgrind", "vgdb") if not shutil.which(program)]
