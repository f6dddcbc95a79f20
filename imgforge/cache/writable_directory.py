"""Whether a directory can hold a disk cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["usable_directory"]


def usable_directory(path: str) -> bool:
    """Whether entries can be written below *path*, which is created if need be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)
