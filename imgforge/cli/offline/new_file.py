"""Writes a file so that readers see the whole of it or nothing, and an existing one only where it may be replaced."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["write_file"]

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_file(path: str, body: bytes, *, replace: bool) -> None:
    """Write *body* to *path*, whose directory is made; `FileExistsError` where it exists, unless *replace* is set.

    Until it is whole it lies beside *path* as a hidden file, which is removed on every failure.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target.parent)) from None
    temporary = target.with_name(f".{os.getpid()}-{os.urandom(6).hex()}.partial")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            file.write(body)
        if replace:
            os.replace(temporary, target)
        else:
            _move_to_free_name(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _move_to_free_name(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)  # unlike a rename it fails where the name is taken
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        os.replace(temporary, target)
