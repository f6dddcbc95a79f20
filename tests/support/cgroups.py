"""Trees like those in which the kernel shows control groups."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["found_in"]


def found_in(look: Callable[[Path, Path], float], membership: str, files: Mapping[str, str]) -> float:
    """What *look* finds where /proc/self/cgroup says *membership* and /sys/fs/cgroup holds *files*."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "membership").write_text(membership)
        for name, text in files.items():
            path = Path(scratch, "cgroup", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return look(Path(scratch, "membership"), Path(scratch, "cgroup"))
