"""One cache entry as one file that describes itself, and the checks that it must pass to be believed.

    offset  size
         0     8  magic and version
         8     4  length of the header (big-endian)
        12     8  length of the body
        20    16  BLAKE2b of header and body
        36        header: msgpack of the key and of the entry without its body
                  body

A file is written under a temporary name and renamed, so that readers see all of it or nothing. It is not synced to the
medium: after a power cut the checksum finds what did not arrive, and an entry that is lost is made again.

BLAKE2b is as fast as a disk, lets other threads run meanwhile, and misses no damage where CRC-32 would miss one in four
billion. It has no key: who may write here may also forge an entry, whose picture is then wrong.
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

# What our files are called; nothing else is ever removed.
ENTRY_NAME = re.compile(r"[0-9a-f]{64}\.entry")
TEMPORARY_NAME = re.compile(r"[0-9a-f]{64}\.[0-9]+-[0-9a-f]{12}\.partial")

# Bytes of a body beyond which a file is not believed, whatever a tier allows.
LONGEST_BODY = 1 << 30

_MAGIC = b"imgforg2"
_ANY_VERSION = _MAGIC[:-1]
_HEAD = struct.Struct(">8sIQ16s")
_LONGEST_HEADER = 1 << 16
_USUAL_HEADER = 1024

# A file that is read is touched, so that eviction by age spares what is used; rarely, for each touch is a write.
_TOUCH_AFTER = 300.0


class CorruptEntry(Exception):
    """The file is not what was written, or not what was asked for."""


class OldEntry(CorruptEntry):
    """The file was written by another version, whose entries cannot be read."""


class _Header(msgspec.Struct, array_like=True):
    key: bytes
    entry: CacheEntry


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Header)


def entry_path(root: str, key: bytes) -> Path:
    """Where the entry under *key* lies: two levels of directories keep each of them small with millions of entries."""
    name = key.hex()
    return Path(root, name[:2], name[2:4], f"{name}.entry")


def write_entry(path: Path, key: bytes, entry: CacheEntry) -> int:
    """Write *entry* to *path*; the bytes that it takes. OSError where the medium refuses."""
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
    """The entry at *path*, checked. FileNotFoundError, another OSError, or `CorruptEntry`.

    *longest* bounds the body, and so the memory that a file may claim; *touch* marks the file as used; *sized* gets the
    file's size before it is read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptEntry("it is no file")
        sized(min(status.st_size, longest))
        header, body = _read(descriptor, status.st_size, longest)
        decoded = _decode(header)
        if decoded.key != key:
            raise CorruptEntry("it belongs to another key")
        if touch and time.time() - status.st_mtime > _TOUCH_AFTER:
            # On a read-only medium, or of another user's file, the entry is good all the same.
            with suppress(OSError):
                os.utime(descriptor)
    finally:
        os.close(descriptor)
    return replace(decoded.entry, rendition=replace(decoded.entry.rendition, body=body))


def _read(descriptor: int, size: int, longest: int) -> tuple[bytes, bytes]:
    """Header and body as they were written; all lengths are checked before anything is allocated for them."""
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
    """Key and entry of the file at *path*, without the body and without a check of either.

    FileNotFoundError, another OSError, or `CorruptEntry`.
    """
    return read_metadata(path)[:2]


def read_metadata(path: Path | str) -> tuple[bytes, CacheEntry, int]:
    """What `read_header` gives, and the length of the body."""
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
