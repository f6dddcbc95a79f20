"""The prefix that all paths of a server may have (IMGFORGE_PATH_PREFIX)."""

from __future__ import annotations

__all__ = ["without_prefix"]


def without_prefix(path: bytes, prefix: bytes) -> bytes:
    """*path* without *prefix*, which has no slash at its end; unchanged where the prefix ends within a segment."""
    rest = path.removeprefix(prefix)
    return rest if rest[:1] in {b"", b"/"} else path
