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
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from imgforge.model import CacheEntry

__all__ = ["SUFFIX", "TEMPORARY", "CorruptEntry", "entry_path", "read_entry", "write_entry"]

SUFFIX = ".entry"
TEMPORARY = ".partial"

_MAGIC = b"imgforg1"
_HEAD = struct.Struct(">8sIQ16s")
_LONGEST_HEADER = 1 << 16

# A file that is read is touched, so that eviction by age spares what is used; rarely, for each touch is a write.
_TOUCH_AFTER = 300.0


class CorruptEntry(Exception):
    """The file is not what was written, or not what was asked for."""


class _Header(msgspec.Struct, array_like=True):
    key: bytes
    entry: CacheEntry


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Header)


def entry_path(root: str, key: bytes) -> Path:
    """Where the entry under *key* lies: two levels of directories keep each of them small with millions of entries."""
    name = key.hex()
    return Path(root, name[:2], name[2:4], name + SUFFIX)


def write_entry(path: Path, key: bytes, entry: CacheEntry) -> int:
    """Write *entry* to *path*; the bytes that it takes. OSError where the medium refuses."""
    body = entry.rendition.body
    header = _encoder.encode(_Header(key, replace(entry, rendition=replace(entry.rendition, body=b""))))
    if len(header) > _LONGEST_HEADER:
        raise OSError("the entry's metadata are too long")
    digest = _digest(header, body)
    # The process and the clock make the name unique on one host, the random part between hosts of a share.
    temporary = path.with_name(f"{path.stem}.{os.getpid()}-{os.urandom(6).hex()}{TEMPORARY}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_HEAD.pack(_MAGIC, len(header), len(body), digest) + header)
            file.write(body)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return _HEAD.size + len(header) + len(body)


def read_entry(path: Path, key: bytes) -> CacheEntry:
    """The entry at *path*, checked. FileNotFoundError, another OSError, or `CorruptEntry`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        magic, header_length, body_length, digest = _HEAD.unpack(_exactly(file.read(_HEAD.size), _HEAD.size))
        # All lengths are compared with the file's own before anything is allocated for them.
        if magic != _MAGIC or header_length > _LONGEST_HEADER:
            raise CorruptEntry("not an entry of this version")
        if status.st_size != _HEAD.size + header_length + body_length:
            raise CorruptEntry("its length is wrong")
        header = _exactly(file.read(header_length), header_length)
        body = _exactly(file.read(body_length), body_length)
        if _digest(header, body) != digest:
            raise CorruptEntry("its checksum is wrong")
        if time.time() - status.st_mtime > _TOUCH_AFTER:
            os.utime(descriptor)
    try:
        decoded = _decoder.decode(header)
    except (msgspec.DecodeError, ValueError) as error:
        raise CorruptEntry("its metadata are malformed") from error
    if decoded.key != key:
        raise CorruptEntry("it belongs to another key")
    return replace(decoded.entry, rendition=replace(decoded.entry.rendition, body=body))


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise CorruptEntry("it ends early")
    return data


def _digest(header: bytes, body: bytes) -> bytes:
    state = blake2b(header, digest_size=16)
    state.update(body)
    return state.digest()
