"""Cache entries as files: `entry_format` in a file of its own, and the checks that a file must pass to be served.

A file is written under a temporary name and renamed, so that readers see all of it or nothing. It is not synced to the
medium: after a power cut the checksum reveals a file that did not arrive, and a lost entry is made again.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from imgforge.cache.atomic_file import replacing
from imgforge.cache.entry_format import (
    HEAD_BYTES,
    LONGEST_BODY,
    CorruptEntry,
    OldEntry,
    decode_header,
    encode,
    entry_of,
    read_head,
)
from imgforge.model import CacheEntry

__all__ = [
    "ENTRY_NAME",
    "LONGEST_BODY",
    "TEMPORARY_NAME",
    "CorruptEntry",
    "OldEntry",
    "entry_path",
    "read_entry",
    "read_header",
    "read_metadata",
    "write_entry",
]

# The names of the cache's files; files with other names are never removed.
ENTRY_NAME = re.compile(r"[0-9a-f]{64}\.entry")
TEMPORARY_NAME = re.compile(r"[0-9a-f]{64}\.[0-9]+-[0-9a-f]{12}\.partial")

_USUAL_HEADER = 1024

# A file that is read is touched, so that eviction by age spares it; at most this often (seconds): a touch is a write.
_TOUCH_AFTER = 300.0


def entry_path(root: str, key: bytes) -> Path:
    """The path of the entry under *key*: two levels of directories keep each one small with millions of entries."""
    name = key.hex()
    return Path(root, name[:2], name[2:4], f"{name}.entry")


def write_entry(path: Path, key: bytes, entry: CacheEntry) -> int:
    """Write *entry* to *path*; returns the bytes of the file. OSError where the medium refuses."""
    try:
        start, body = encode(key, entry)
    except ValueError as error:
        raise OSError(str(error)) from error
    with replacing(path, path.stem) as file:
        file.write(start)
        file.write(body)
    return len(start) + len(body)


def read_entry(
    path: Path | str,
    key: bytes,
    longest: int = LONGEST_BODY,
    *,
    touch: bool = True,
    sized: Callable[[int], object] = lambda _: None,
) -> CacheEntry:
    """The entry at *path*, checked. Raises FileNotFoundError, another OSError, or `CorruptEntry`.

    *longest* bounds the bytes of the body, and so the memory that a file can make us allocate; *touch* marks the file
    as used; *sized* is called with the file's size before it is read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptEntry("it is not a regular file")
        sized(min(status.st_size, longest))
        entry = _read(descriptor, key, status.st_size, longest)
        if touch and time.time() - status.st_mtime > _TOUCH_AFTER:
            # A read-only medium, or a file of another user, cannot be touched; its entry is valid all the same.
            with suppress(OSError):
                os.utime(descriptor)
    finally:
        os.close(descriptor)
    return entry


def _read(descriptor: int, key: bytes, size: int, longest: int) -> CacheEntry:
    """The entry in a file of *size* bytes; all lengths are checked before memory is allocated for them."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        head = read_head(file.read(HEAD_BYTES))
        if size != HEAD_BYTES + head.header + head.body or head.body > longest:
            raise CorruptEntry("its length is wrong")
        return entry_of(key, head, file.read(head.header), file.read(head.body))


def read_header(path: str) -> tuple[bytes, CacheEntry]:
    """Key and entry of the file at *path*, without the body and without a check of the checksum.

    Raises FileNotFoundError, another OSError, or `CorruptEntry`.
    """
    return read_metadata(path)[:2]


def read_metadata(path: Path | str) -> tuple[bytes, CacheEntry, int]:
    """Key, entry and the length of the body, as `read_header` reads them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        start = os.pread(descriptor, HEAD_BYTES + _USUAL_HEADER, 0)
        head = read_head(start[:HEAD_BYTES])
        if len(start) < HEAD_BYTES + head.header:
            start = os.pread(descriptor, HEAD_BYTES + head.header, 0)
    finally:
        os.close(descriptor)
    return *decode_header(head, start[HEAD_BYTES : HEAD_BYTES + head.header]), head.body
