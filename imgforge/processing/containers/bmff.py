"""The boxes of an ISO base media file (ISO/IEC 14496-12, section 4.2), the container of HEIC, AVIF, CR3 and JPEG XL.

Only the top level is read, one box at a time and without copying. A box has a header of eight bytes or more, so that
their number is bounded by the length of the file. Only brands in the first 64 bytes count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgforge.errors import NotAnImage

__all__ = ["Box", "brands", "read_boxes"]

_HEADER = 8  # bytes: length and type
_LARGE_HEADER = 16  # with a length of 64 bits behind the type
_BRANDS_WINDOW = 64  # bytes


@dataclass(frozen=True, slots=True)
class Box:
    """The type of a box, and where its content begins and ends in the file."""

    kind: bytes
    start: int
    end: int


def read_boxes(body: bytes, size: int = 0) -> Iterator[Box]:
    """Yields the boxes of the top level; `NotAnImage` where one is longer than the file or shorter than its header.

    Where *size* is not 0, *body* is the beginning of a file of *size* bytes: only boxes that begin within it are found.
    """
    at, size = 0, size or len(body)
    while at + _HEADER <= len(body):
        length, kind, start = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8], at + _HEADER
        if length == 1:
            length, start = int.from_bytes(body[at + 8 : at + 16], "big"), at + _LARGE_HEADER
            if start > len(body) < size:
                return
        end = at + length if length else size
        if end < start or end > size:
            raise NotAnImage("the source image is broken: it ends too early")
        yield Box(kind, start, end)
        at = end


def brands(body: bytes) -> frozenset[bytes]:
    """The major and the compatible brands of the file type box; empty where *body* does not begin with one."""
    if body[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(body[:4], "big"), _BRANDS_WINDOW)
    return frozenset({body[8:12], *(body[at : at + 4] for at in range(16, end, 4))})
