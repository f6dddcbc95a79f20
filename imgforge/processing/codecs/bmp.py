"""What Pillow leaves out of BMP: alpha that no mask announces, the depth of palettes, and masks in what is written.

The header is that of Windows (BITMAPINFOHEADER, and BITMAPV4HEADER with masks), little-endian, rows from the bottom up.
"""

from __future__ import annotations

import struct
from typing import Any

from imgforge.processing.containers import PLAIN_HEADER, BmpHeader, read_alpha_mask

__all__ = ["palette_depth", "save_with_alpha", "with_alpha"]

_UNCOMPRESSED, _BITFIELDS = 0, 3

_WITH_MASKS = struct.Struct("<2sIIIIiiHHIIiiIIIIII4s48x")
_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def with_alpha(pillow: Any, body: bytes, header: BmpHeader, picture: Any) -> Any:
    """*picture*, which Pillow read from *body*, with the alpha that uncompressed pixels of 32 bits may have.

    An alpha that is 0 throughout does not count: such files come from programs without alpha.
    """
    if not header.is_windows or header.bits != 32 or header.compression != _UNCOMPRESSED:
        return picture
    if header.length != PLAIN_HEADER and not read_alpha_mask(body):
        return picture
    pixels = body[header.start :].ljust(4 * picture.width * picture.height, b"\0")  # of a part the rest is clear
    seen = pillow.frombytes("RGBA", picture.size, pixels, "raw", "BGRA", 0, 1 if header.height < 0 else -1)
    return seen if seen.getchannel("A").getextrema()[1] else picture


def palette_depth(header: BmpHeader) -> int:
    """How many bits an index into the palette takes; 0 where there is no palette."""
    if not header.is_windows or header.bits > 8:
        return 0
    colours = min(header.colours, 1 << header.bits) or 1 << header.bits
    return next(depth for depth in (1, 2, 4, 8) if colours <= 1 << depth)


def save_with_alpha(image: Any) -> bytes:
    """*image*, sRGB with alpha, as a BMP whose masks name the alpha: without them browsers show none."""
    red, green, blue, alpha = image.bandsplit()
    pixels = bytes(blue.bandjoin([green, red, alpha]).flipver().write_to_memory())
    start = _WITH_MASKS.size
    header = _WITH_MASKS.pack(
        b"BM", start + len(pixels), 0, start, start - 14, image.width, image.height, 1, 32, _BITFIELDS, len(pixels),
        2835, 2835, 0, 0, *_MASKS, b"BGRs",
    )  # fmt: skip
    return header + pixels
