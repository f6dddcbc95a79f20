"""What a PNG says beside its pixels, bounded: libpng unpacks all of it when the file is opened, a thousandfold.

A megabyte of packed comments takes seconds, during which nothing can stop it.
"""

from __future__ import annotations

import zlib

from imgforge.errors import SourceTooLarge

__all__ = ["check_png"]

_MOST_CHUNKS = 100_000
_MOST_UNPACKED = 32 << 20
_SHORTEST = 12  # length, type and checksum


def check_png(body: bytes) -> None:
    """Raise `SourceTooLarge` where there are too many chunks, or their texts and profiles unpack to too much."""
    at, count, room = 8, 0, _MOST_UNPACKED
    while at + _SHORTEST <= len(body):
        count += 1
        if count > _MOST_CHUNKS:
            raise SourceTooLarge("the png has too many chunks")
        length = int.from_bytes(body[at : at + 4], "big")
        kind = body[at + 4 : at + 8]
        if kind in _PACKED:
            room -= _unpacked(_packed_part(kind, body[at + 8 : at + 8 + length]), room)
            if room < 0:
                raise SourceTooLarge("the png's texts and profiles unpack to too many bytes")
        at += _SHORTEST + length


_PACKED = frozenset({b"zTXt", b"iTXt", b"iCCP"})


def _packed_part(kind: bytes, data: bytes) -> bytes:
    """The zlib stream of a chunk (PNG third edition, 11.3.2.3 and 11.3.3): behind keyword, flags, and in iTXt names."""
    _, _, rest = data.partition(b"\0")
    if kind != b"iTXt":
        return rest[1:]
    if rest[:1] != b"\x01":
        return b""
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2]


def _unpacked(data: bytes, room: int) -> int:
    """How many bytes *data* unpacks to, or one more than *room*."""
    try:
        return len(zlib.decompressobj().decompress(data, room + 1)) if data else 0
    except zlib.error:
        return 0  # libpng passes over it
