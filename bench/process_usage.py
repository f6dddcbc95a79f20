"""What processes and their descendants use, read from /proc: CPU seconds, memory, descriptors, threads."""

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
_THREADS, _STARTED = 17, 19  # the places of two fields in what _stats gives
_SAMPLE_INTERVAL = 0.25  # seconds between two looks at the memory


def _stats() -> dict[int, list[str]]:
    """The fields of proc_pid_stat(5) from the third on, of every process."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:  # ended between the listing and the reading
            continue
        # The name in parentheses may contain anything, so count from its end.
        stats[int(entry.name)] = stat.rpartition(")")[2].split()
    return stats


def _process_tree(pid: int, stats: dict[int, list[str]]) -> list[int]:
    """*pid* and its descendants."""
    if pid not in stats:
        raise ProcessLookupError(f"no process {pid}")
    children: dict[int, list[int]] = {}
    for process, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(process)
    tree = [pid]
    for member in tree:  # which grows meanwhile
        tree += children.get(member, ())
    return tree


def cpu_seconds(pid: int) -> float:
    """User and system seconds so far of process *pid*, its descendants, and those of them that have ended."""
    stats = _stats()
    return sum(int(field) for member in _process_tree(pid, stats) for field in stats[member][11:15]) / _TICKS


def memory_bytes(pid: int) -> int:
    """The memory that *pid* and its descendants have resident; what they share counts once (PSS)."""
    return sum(_pss(member) for member in _process_tree(pid, _stats()))


def _pss(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def children(pid: int) -> list[int]:
    """The processes that *pid* started itself, the oldest first."""
    own = [(int(fields[_STARTED]), child) for child, fields in _stats().items() if int(fields[1]) == pid]
    return [child for _, child in sorted(own)]


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of memory (PSS), open files and sockets, and threads."""

    memory: int
    descriptors: int
    threads: int


def usage(pid: int, *, alone: bool = False) -> Usage:
    """What *pid* and its descendants use, or *pid* alone."""
    stats = _stats()
    members = [pid] if alone else _process_tree(pid, stats)
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
    """What several process trees together had resident, seen again and again: seconds and bytes."""

    looks: list[tuple[float, int]] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """The most that was seen."""
        return max(size for _, size in self.looks)

    @property
    def last(self) -> int:
        """What it was in the end."""
        return self.looks[-1][1]

    @property
    def slope(self) -> float:
        """Bytes by which it rises in a second, by the straight line through the looks of the second half."""
        half = self.looks[len(self.looks) // 2 :]
        if len(half) < 3:
            return 0.0
        return statistics.linear_regression(*zip(*half, strict=True)).slope


@contextmanager
def sample_memory(pids: Sequence[int]) -> Iterator[MemorySamples]:
    """Look at the memory of *pids* and their descendants several times a second while the block runs."""
    memory, ended = MemorySamples(), threading.Event()

    def look() -> None:
        memory.looks.append((time.monotonic(), sum(map(memory_bytes, pids))))

    def keep_looking() -> None:
        while not ended.wait(_SAMPLE_INTERVAL):
            look()

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()
    look()
