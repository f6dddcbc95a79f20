"""CPU seconds, memory, descriptors and threads of processes and their descendants, read from /proc."""

from __future__ import annotations

import os
import re
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["MemorySamples", "Usage", "children", "cpu_seconds", "memory_bytes", "sample_memory", "usage"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PSS = re.compile(r"^Pss:\s*(\d+) kB", re.MULTILINE)
# Indices into the fields that _read_stats returns; the numbers in proc_pid_stat(5) are three higher.
_PARENT, _CPU_TIMES, _THREADS, _STARTED = 1, slice(11, 15), 17, 19
_SAMPLE_INTERVAL = 0.25  # seconds


def _read_stats() -> dict[int, list[str]]:
    """Return the fields of proc_pid_stat(5) from the third on, for every process."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:  # the process ended between the listing and the reading
            continue
        # The second field, the name in parentheses, may contain anything, so count from its end.
        stats[int(entry.name)] = stat.rpartition(")")[2].split()
    return stats


def _process_tree(pid: int, stats: dict[int, list[str]]) -> list[int]:
    """Return *pid* and its descendants."""
    if pid not in stats:
        raise ProcessLookupError(f"no process {pid}")
    children_of: dict[int, list[int]] = {}
    for process, fields in stats.items():
        children_of.setdefault(int(fields[_PARENT]), []).append(process)
    tree = [pid]
    for member in tree:  # grows while it is iterated
        tree += children_of.get(member, ())
    return tree


def cpu_seconds(pid: int) -> float:
    """Return the user and system seconds so far of *pid* and its descendants, including those that have ended."""
    stats = _read_stats()
    return sum(int(field) for member in _process_tree(pid, stats) for field in stats[member][_CPU_TIMES]) / _TICKS


def memory_bytes(pid: int) -> int:
    """Return the resident memory of *pid* and its descendants; pages that they share count once (PSS)."""
    return sum(_pss(member) for member in _process_tree(pid, _read_stats()))


def _pss(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def children(pid: int, name: str = "") -> list[int]:
    """Return the direct children of *pid*, the oldest first: all, or those that call themselves *name*."""
    own = [(int(fields[_STARTED]), child) for child, fields in _read_stats().items() if int(fields[_PARENT]) == pid]
    return [child for _, child in sorted(own) if not name or _name(child) == name]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of memory (PSS), and numbers of open descriptors and of threads."""

    memory: int
    descriptors: int
    threads: int


def usage(pid: int, *, descendants: bool = True) -> Usage:
    """Return what *pid* and its *descendants* use together; all zero for a single process that has ended."""
    stats = _read_stats()
    members = _process_tree(pid, stats) if descendants else [pid]
    return Usage(
        sum(map(_pss, members)),
        sum(map(_open_descriptors, members)),
        sum(int(stats[member][_THREADS]) for member in members if member in stats),
    )


def _open_descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


@dataclass(slots=True)
class MemorySamples:
    """Pairs of a time in seconds and the resident bytes of several process trees together at that time."""

    samples: list[tuple[float, int]] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The largest sample, in bytes."""
        return max(size for _, size in self.samples)

    @property
    def last(self) -> int:
        """The last sample, in bytes."""
        return self.samples[-1][1]

    @property
    def slope(self) -> float:
        """Growth in bytes per second: a linear regression over the second half of the samples."""
        half = self.samples[len(self.samples) // 2 :]
        if len(half) < 3:
            return 0.0
        return statistics.linear_regression(*zip(*half, strict=True)).slope


@contextmanager
def sample_memory(pids: Sequence[int]) -> Iterator[MemorySamples]:
    """Sample the memory of *pids* and their descendants four times a second while the block runs, and at its end."""
    memory, ended = MemorySamples(), threading.Event()

    def sample() -> None:
        memory.samples.append((time.monotonic(), sum(map(memory_bytes, pids))))

    def keep_sampling() -> None:
        while not ended.wait(_SAMPLE_INTERVAL):
            sample()

    thread = threading.Thread(target=keep_sampling, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
    sample()
