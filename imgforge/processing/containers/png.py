"""The chunks of a PNG (PNG third edition, section 5.3), and bounds on the compressed ones.

A chunk takes twelve bytes or more, so that their number is bounded by the length of the file. libpng decompresses all
texts and profiles when it opens a file, up to a thousandfold: a megabyte of them takes seconds and cannot be stopped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from imgforge.errors import SourceTooLarge

__all__ = ["Chunk", "check_png", "read_chunks"]

_MOST_CHUNKS = 100_000
_MOST_UNPACKED = 32 << 20  # bytes of all texts and profiles together
_SIGNATURE = 8  # bytes
_SHORTEST = 12  # length, type and checksum


@dataclass(frozen=True, slots=True)
class Chunk:
    """The type of a chunk, and where its data begins and ends in the file."""

    kind: bytes
    start: int
    end: int


def read_chunks(body: bytes) -> Iterator[Chunk]:
    """Yields the chunks after the signature; the last one may end beyond the end of *body*."""
    at = _SIGNATURE
    while at + _SHORTEST <= len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        yield Chunk(body[at + 4 : at + 8], at + 8, at + 8 + length)
        at += _SHORTEST + length


def check_png(body: bytes) -> None:
    """Raises `SourceTooLarge` for too many chunks, or for texts and profiles that decompress to too many bytes."""
    left = _MOST_UNPACKED
    for number, chunk in enumerate(read_chunks(body), 1):
        if number > _MOST_CHUNKS:
            raise SourceTooLarge("the png has too many chunks")
        if chunk.kind in _PACKED:
            left -= _unpacked(_packed_part(chunk.kind, body[chunk.start : chunk.end]), left)
            if left < 0:
                raise SourceTooLarge("the png's texts and profiles unpack to too many bytes")


_PACKED = frozenset({b"zTXt", b"iTXt", b"iCCP"})


def _packed_part(kind: bytes, data: bytes) -> bytes:
    """The zlib stream of a chunk (PNG third edition, 11.3.2.3 and 11.3.3): behind keyword, flags, and in iTXt names."""
    _, _, rest = data.partition(b"\0")
    if kind != b"iTXt":
        return rest[1:]
    if rest[:1] != b"\x01":
        return b""
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2]


def _unpacked(data: bytes, most: int) -> int:
    """The number of bytes that *data* decompresses to, *most* + 1 where there are more than *most*."""
    try:
        return len(zlib.decompressobj().decompress(data, most + 1)) if data else 0
    except zlib.error:
        return 0  # libpng ignores it
