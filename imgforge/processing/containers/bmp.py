"""The header of a BMP: BITMAPINFOHEADER and its successors of Windows, little-endian, at fixed offsets.

The shorter header of OS/2 has neither compression nor masks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from imgforge.errors import NotAnImage

__all__ = ["PLAIN_HEADER", "BmpHeader", "read_alpha_mask", "read_bmp_header"]

PLAIN_HEADER = 40  # bytes of the shortest header of Windows, which has no masks
_FILE_HEADER = 14  # bytes before it
_START_OFFSET = 10
# From byte 10 on: where pixels begin and the header's length; then, of Windows, width, height, planes, bits a pixel,
# compression.
_BEGIN, _FIXED = struct.Struct("<II"), struct.Struct("<18xii2xHI")
_COLOURS, _ALPHA_MASK = struct.Struct("<46xI"), struct.Struct("<66xI")


@dataclass(frozen=True, slots=True)
class BmpHeader:
    """What the header says: `start` and `palette` are offsets in the file, `length` is the header's own, in bytes.

    The others are 0 for OS/2. `height` is negative where rows go from the top down. `colours` of the palette are 0
    where it has as many as `bits` a pixel can name.
    """

    start: int
    length: int
    height: int
    bits: int
    compression: int
    colours: int

    @property
    def is_windows(self) -> bool:
        """Whether the fields behind the bits a pixel are there."""
        return self.length >= PLAIN_HEADER

    @property
    def palette(self) -> int:
        return _FILE_HEADER + self.length


def read_bmp_header(body: bytes) -> BmpHeader:
    """The header of *body*; `NotAnImage` where the file ends within it."""
    try:
        start, length = _BEGIN.unpack_from(body, _START_OFFSET)
        if length < PLAIN_HEADER:
            return BmpHeader(start, length, 0, 0, 0, 0)
        _, height, bits, compression = _FIXED.unpack_from(body)
        (colours,) = _COLOURS.unpack_from(body)
    except struct.error:
        raise NotAnImage("the source image is broken: it ends too early") from None
    return BmpHeader(start, length, height, bits, compression, colours)


def read_alpha_mask(body: bytes) -> int:
    """The mask of alpha, behind a header longer than `PLAIN_HEADER`; `NotAnImage` where the file ends before it."""
    try:
        return int(_ALPHA_MASK.unpack_from(body)[0])
    except struct.error:
        raise NotAnImage("the source image is broken: it ends too early") from None
