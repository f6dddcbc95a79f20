"""Files that end too early where libvips does not notice, which then shows the rest black or as it was before.

libtiff reads what there is of samples that are not compressed; libnsgif shows a part of an animation's last frame. All
other formats' loaders fail on their own (`fail_on`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["gif_is_complete", "tiff_is_complete"]

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 259, 262, 277
_OFFSETS, _LENGTHS = (273, 324), (279, 325)  # of strips, of tiles
_UNCOMPRESSED, _YCBCR = 1, 6
_TYPES = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG

_EXTENSION, _IMAGE = 0x21, 0x2C

Tags = dict[int, tuple[int, ...]]


def tiff_is_complete(body: bytes, page: int = 0, pages: int = 1) -> bool:
    """Whether the samples of *pages* pages from *page* on are all there, as far as they are not compressed."""
    order = "<" if body[:2] == b"II" else ">"
    try:
        at = struct.unpack_from(order + "I", body, 4)[0]
        for index in range(page + pages):
            if not at:
                break
            tags, at = _directory(body, at, order)
            if index >= page and not _samples_are_there(tags, len(body)):
                return False
    except struct.error:
        pass  # libtiff's to judge
    return True


def _directory(body: bytes, at: int, order: str) -> tuple[Tags, int]:
    """The tags of one page, and where the next page's are (TIFF 6.0, section 2)."""
    (count,) = struct.unpack_from(order + "H", body, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", body, entry)
        if kind not in _TYPES:
            continue
        layout = f"{order}{length}{_TYPES[kind]}"
        inline = struct.calcsize(layout) <= 4
        place = entry + 8 if inline else struct.unpack_from(order + "I", body, entry + 8)[0]
        if place + struct.calcsize(layout) <= len(body):
            tags[tag] = struct.unpack_from(layout, body, place)
    return tags, struct.unpack_from(order + "I", body, at + 2 + 12 * count)[0]


def _samples_are_there(tags: Tags, size: int) -> bool:
    if _first(tags, _COMPRESSION) != _UNCOMPRESSED or _first(tags, _PHOTOMETRIC) == _YCBCR:  # that may be subsampled
        return True
    bits = _first(tags, _WIDTH) * _first(tags, _HEIGHT) * _first(tags, _SAMPLES) * _first(tags, _BITS)
    offsets = next((tags[tag] for tag in _OFFSETS if tag in tags), ())
    lengths: Iterable[int] = next((tags[tag] for tag in _LENGTHS if tag in tags), ())
    if len(offsets) == 1:  # libtiff does not believe a length that is wrong here
        lengths = (0,)
    there = sum(max(0, min(length or size, size - at)) for at, length in zip(offsets, lengths, strict=False))
    return there >= bits // 8


def _first(tags: Tags, tag: int) -> int:
    return tags.get(tag, (1,))[0]


def gif_is_complete(body: bytes) -> bool:
    """Whether the file ends between two blocks (GIF89a, section 12); the trailer may be missing."""
    try:
        at = 13 + _colour_table(body[10])
        while at < len(body) and body[at] in {_EXTENSION, _IMAGE}:
            at = at + 2 if body[at] == _EXTENSION else at + 11 + _colour_table(body[at + 9])
            while body[at]:
                at += body[at] + 1
            at += 1
    except IndexError:
        return False
    return True


def _colour_table(flags: int) -> int:
    """Its length in bytes, by the flags that announce it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
