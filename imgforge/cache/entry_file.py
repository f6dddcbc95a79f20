"""The file format of a cache entry, and the checks that a file must pass to be served.

    offset  size
         0     8  magic and version
         8     4  length of the header (big-endian)
        12     8  length of the body
        20    16  BLAKE2b of header and body
        36        header: msgpack of the key and of the entry without its body
                  body

A file is written under a temporary name and renamed, so that readers see all of it or nothing. It is not synced to the
medium: after a power cut the checksum reveals a file that did not arrive, and a lost entry is made again.

BLAKE2b is as fast as a disk, lets other threads run meanwhile, and finds all damage where CRC-32 would miss one in four
billion. It has no key: whoever may write to the directory can also forge an entry.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from imgforge.cache.atomic_file import replacing
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

# Bytes of a body; a file with a longer one is damaged, whatever a tier allows.
LONGEST_BODY = 1 << 30

_MAGIC = b"imgforg2"
_ANY_VERSION = _MAGIC[:-1]
_HEAD = struct.Struct(">8sIQ16s")
_LONGEST_HEADER = 1 << 16
_USUAL_HEADER = 1024

# A file that is read is touched, so that eviction by age spares it; at most this often (seconds): a touch is a write.
_TOUCH_AFTER = 300.0


class CorruptEntry(Exception):
    """The file is damaged, or belongs to another key."""


class OldEntry(CorruptEntry):
    """Another version wrote the file, in a format that this one cannot read."""


class _Header(msgspec.Struct, array_like=True):
    key: bytes
    entry: CacheEntry


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Header)


def entry_path(root: str, key: bytes) -> Path:
    """The path of the entry under *key*: two levels of directories keep each one small with millions of entries."""
    name = key.hex()
    return Path(root, name[:2], name[2:4], f"{name}.entry")


def write_entry(path: Path, key: bytes, entry: CacheEntry) -> int:
    """Write *entry* to *path*; returns the bytes of the file. OSError where the medium refuses."""
    body = entry.rendition.body
    header = _encoder.encode(_Header(key, replace(entry, rendition=replace(entry.rendition, body=b""))))
    if len(header) > _LONGEST_HEADER:
        raise OSError("the entry's metadata are too long")
    digest = _digest(header, body)
    with replacing(path, path.stem) as file:
        file.write(_HEAD.pack(_MAGIC, len(header), len(body), digest) + header)
        file.write(body)
    return _HEAD.size + len(header) + len(body)


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
        header, body = _read(descriptor, status.st_size, longest)
        decoded = _decode(header)
        if decoded.key != key:
            raise CorruptEntry("it belongs to another key")
        if touch and time.time() - status.st_mtime > _TOUCH_AFTER:
            # A read-only medium, or a file of another user, cannot be touched; its entry is valid all the same.
            with suppress(OSError):
                os.utime(descriptor)
    finally:
        os.close(descriptor)
    return replace(decoded.entry, rendition=replace(decoded.entry.rendition, body=body))


def _read(descriptor: int, size: int, longest: int) -> tuple[bytes, bytes]:
    """Header and body, checked by their checksum; all lengths are checked before memory is allocated for them."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        magic, header_length, body_length, digest = _HEAD.unpack(_exactly(file.read(_HEAD.size), _HEAD.size))
        _check_head(magic, header_length)
        if size != _HEAD.size + header_length + body_length or body_length > longest:
            raise CorruptEntry("its length is wrong")
        header = _exactly(file.read(header_length), header_length)
        body = _exactly(file.read(body_length), body_length)
    if _digest(header, body) != digest:
        raise CorruptEntry("its checksum is wrong")
    return header, body


def read_header(path: str) -> tuple[bytes, CacheEntry]:
    """Key and entry of the file at *path*, without the body and without a check of the checksum.

    Raises FileNotFoundError, another OSError, or `CorruptEntry`.
    """
    return read_metadata(path)[:2]


def read_metadata(path: Path | str) -> tuple[bytes, CacheEntry, int]:
    """Key, entry and the length of the body, as `read_header` reads them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        start = os.pread(descriptor, _HEAD.size + _USUAL_HEADER, 0)
        magic, length, body_length, _ = _HEAD.unpack(_exactly(start[: _HEAD.size], _HEAD.size))
        _check_head(magic, length)
        if len(start) < _HEAD.size + length:
            start = os.pread(descriptor, _HEAD.size + length, 0)
    finally:
        os.close(descriptor)
    decoded = _decode(_exactly(start[_HEAD.size : _HEAD.size + length], length))
    return decoded.key, decoded.entry, body_length


def _check_head(magic: bytes, header_length: int) -> None:
    if magic != _MAGIC and magic.startswith(_ANY_VERSION):
        raise OldEntry("it was written by another version")
    if magic != _MAGIC or header_length > _LONGEST_HEADER:
        raise CorruptEntry("not an entry")


def _decode(header: bytes) -> _Header:
    try:
        return _decoder.decode(header)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CorruptEntry("its metadata are malformed") from error


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise CorruptEntry("it ends early")
    return data


def _digest(header: bytes, body: bytes) -> bytes:
    state = blake2b(header, digest_size=16)
    state.update(body)
    return state.digest()
