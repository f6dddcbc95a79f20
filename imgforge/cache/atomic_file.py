"""Atomic replacement of files: concurrent readers see the old file or the new one, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path, stem: str = "") -> Iterator[BinaryIO]:
    """Open a new file that replaces *path* at the end of the block; if the block fails, it is removed.

    Until then it lies beside *path* as STEM.PID-RANDOM.partial; the stem is the name of *path* unless it is given.
    """
    # The process makes the name unique on one host, the random part on a share of several hosts.
    temporary = path.with_name(f"{stem or path.name}.{os.getpid()}-{os.urandom(6).hex()}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
