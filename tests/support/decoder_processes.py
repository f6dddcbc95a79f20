"""The decoder processes of a process, found in /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["busy_decoders", "decoders", "until", "zygotes"]

_TICKS = os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listed.read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def _has(pid: int, text: bytes) -> bool:
    try:
        return text in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def zygotes(pid: int) -> list[int]:
    """The living zygotes of the process *pid*."""
    return [child for child in _children(pid) if _has(child, b"isolation/zygote.py")]


def decoders(pid: int) -> list[int]:
    """The decoder processes of the process *pid*, the one that is kept ahead among them."""
    return [child for zygote in zygotes(pid) for child in _children(zygote)]


def busy_decoders(pid: int) -> list[int]:
    """Those that have used a tenth of a second of CPU: more than a start takes."""
    return [child for child in decoders(pid) if _cpu_seconds(child) > 0.1]


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def until(true: Callable[[], object], seconds: float = 60.0) -> bool:
    """Wait until something is *true*; whether it became so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
