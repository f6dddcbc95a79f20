"""The control groups (containers, systemd) that this process is in; see cgroups(7)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["HIERARCHIES", "MEMBERSHIP", "group_directories", "words"]

MEMBERSHIP = Path("/proc/self/cgroup")
HIERARCHIES = Path("/sys/fs/cgroup")


def group_directories(controller: str, membership: Path, hierarchies: Path) -> Iterator[tuple[int, Path]]:
    """The version (1 or 2) and directory of each group that *membership* lists for *controller*, and of their parents.

    A process in a container may see its own group as the root, or a path that only the host has: such directories do
    not exist.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield from ((2, directory) for directory in _and_parents(hierarchies, group))
        elif controller in controllers.split(","):
            # The mount is named after one controller, or after all that it has.
            for mount in {controllers, controller}:
                yield from ((1, directory) for directory in _and_parents(hierarchies / mount, group))


def words(path: Path) -> list[str]:
    """The words in a group's file; none where there is no such file."""
    try:
        return path.read_text().split()
    except OSError:
        return []


def _and_parents(root: Path, group: str) -> Iterator[Path]:
    """The directory of *group* under *root* and all above it, *root* included."""
    path = PurePosixPath(group).relative_to("/")
    for part in (path, *path.parents):
        yield root / part
