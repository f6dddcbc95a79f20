"""Paths whose `..` lead above where they begin."""

from __future__ import annotations

__all__ = ["climbs_out"]


def climbs_out(path: str) -> bool:
    """Whether `..` in *path* leads above its beginning, for what resolves it and merges slashes."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            return True
    return False
