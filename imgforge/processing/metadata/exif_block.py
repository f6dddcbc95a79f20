"""EXIF for formats that libvips does not read or write itself.

libvips keeps EXIF twice, as the block and as a field for each tag; only what has a field is written. It makes the
fields of a block as soon as that is set, but has no operation for the way back: there a JPEG is written, whose EXIF
is the block.
"""

from __future__ import annotations

from typing import Any

import pyvips

__all__ = ["ORIENTATION", "exif_block_of", "set_exif_block"]

_BLOCK, _FIELDS, _TURN = "exif-data", "exif-", "orientation"
ORIENTATION = "exif-ifd0-Orientation"
_HEADER = b"Exif\x00\x00"
_APP1, _START_OF_SCAN = 0xE1, 0xDA


def set_exif_block(image: Any, block: bytes) -> None:
    """Give *image*, which must be a copy of its own, the EXIF of *block*, but for the orientation."""
    if not block:
        return
    image.set_type(pyvips.GValue.blob_type, _BLOCK, _HEADER + block.removeprefix(_HEADER))
    for field in (_TURN, ORIENTATION):
        if image.get_typeof(field):
            image.remove(field)


def exif_block_of(image: Any) -> bytes:
    """The EXIF of *image* as a block with its header, and its resolution in it; nothing where it has none."""
    fields = [field for field in image.get_fields() if _is_exif(field)]
    if not fields:
        return b""
    carrier = pyvips.Image.black(8, 8).copy(xres=image.xres, yres=image.yres)
    for field in sorted(fields, key=lambda field: field != _BLOCK):  # the block first: it brings all its fields
        carrier.set_type(image.get_typeof(field), field, image.get(field))
    for field in set(carrier.get_fields()) - set(fields):
        if _is_exif(field):
            carrier.remove(field)
    return _segment(bytes(carrier.jpegsave_buffer()))


def _is_exif(field: str) -> bool:
    """The orientation has a name besides, by which libvips writes it, whatever the tag's own field says."""
    return field.startswith(_FIELDS) or field == _TURN


def _segment(jpeg: bytes) -> bytes:
    """The content of the first APP1 segment (ISO/IEC 10918-1, B.1.1)."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at + 1] != _START_OF_SCAN:
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == _APP1:
            return jpeg[at + 4 : at + 2 + length]
        at += 2 + length
    return b""
