"""The bytes of a cache entry, in a file, a database or a bucket, and the checks that they must pass to be served.

    offset  size
         0     8  magic and version
         8     4  length of the header (big-endian)
        12     8  length of the body
        20    16  BLAKE2b of header and body
        36        header: msgpack of the key and of the entry without its body
                  body

BLAKE2b is as fast as a disk, lets other threads run meanwhile, and finds all damage where CRC-32 would miss one in four
billion. It has no key: whoever may write to the medium can also forge an entry.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from imgforge.model import CacheEntry

__all__ = [
    "HEAD_BYTES",
    "LONGEST_BODY",
    "LONGEST_HEADER",
    "CorruptEntry",
    "Head",
    "OldEntry",
    "decode",
    "decode_header",
    "encode",
    "entry_of",
    "read_head",
]

# Bytes of a body; an entry with a longer one is damaged, whatever a tier allows.
LONGEST_BODY = 1 << 30
LONGEST_HEADER = 1 << 16

_MAGIC = b"imgforg2"
_ANY_VERSION = _MAGIC[:-1]
_HEAD = struct.Struct(">8sIQ16s")
HEAD_BYTES = _HEAD.size


class CorruptEntry(Exception):
    """The entry is damaged, or belongs to another key."""


class OldEntry(CorruptEntry):
    """Another version wrote the entry, in a format that this one cannot read."""


class Head(NamedTuple):
    """The lengths of header and body in bytes, and the digest of both."""

    header: int
    body: int
    digest: bytes


class _Header(msgspec.Struct, array_like=True):
    key: bytes
    entry: CacheEntry


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Header)


def encode(key: bytes, entry: CacheEntry) -> tuple[bytes, bytes]:
    """What comes before the body, and the body; ValueError where the metadata are too long."""
    body = entry.rendition.body
    header = _encoder.encode(_Header(key, replace(entry, rendition=replace(entry.rendition, body=b""))))
    if len(header) > LONGEST_HEADER:
        raise ValueError("the entry's metadata are too long")
    return _HEAD.pack(_MAGIC, len(header), len(body), _digest(header, body)) + header, body


def decode(key: bytes, data: bytes, longest: int = LONGEST_BODY) -> CacheEntry:
    """The entry whose bytes are *data*, checked; `CorruptEntry` where it is not whole or not that of *key*."""
    head = read_head(data[:HEAD_BYTES])
    start = HEAD_BYTES + head.header
    if len(data) != start + head.body or head.body > longest:
        raise CorruptEntry("its length is wrong")
    return entry_of(key, head, data[HEAD_BYTES:start], data[start:])


def read_head(start: bytes) -> Head:
    """The head at the *start* of an entry, its first `HEAD_BYTES` bytes."""
    magic, header, body, digest = _HEAD.unpack(_exactly(start, HEAD_BYTES))
    if magic != _MAGIC and magic.startswith(_ANY_VERSION):
        raise OldEntry("it was written by another version")
    if magic != _MAGIC or header > LONGEST_HEADER:
        raise CorruptEntry("not an entry")
    return Head(header, body, digest)


def decode_header(head: Head, header: bytes) -> tuple[bytes, CacheEntry]:
    """Key and entry without its body, as *header* has them; the digest is not checked."""
    try:
        decoded = _decoder.decode(_exactly(header, head.header))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise CorruptEntry("its metadata are malformed") from error
    return decoded.key, decoded.entry


def entry_of(key: bytes, head: Head, header: bytes, body: bytes) -> CacheEntry:
    """The entry of *header* and *body*, checked against *head* and *key*."""
    header, body = _exactly(header, head.header), _exactly(body, head.body)
    if _digest(header, body) != head.digest:
        raise CorruptEntry("its checksum is wrong")
    written_under, entry = decode_header(head, header)
    if written_under != key:
        raise CorruptEntry("it belongs to another key")
    return replace(entry, rendition=replace(entry.rendition, body=body))


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise CorruptEntry("it ends early")
    return data


def _digest(header: bytes, body: bytes) -> bytes:
    state = blake2b(header, digest_size=16)
    state.update(body)
    return state.digest()
