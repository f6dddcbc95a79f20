"""The items of an AVIF (ISO/IEC 23008-12, AV1 Image File Format), as far as it takes to know where its header ends.

    ftyp ── meta ── mdat
            ├ iinf: the type of each item: pixels (av01), Exif, XMP...
            ├ iloc: where the bytes of each item are: in mdat, or in idat
            └ sizes, turns and profiles

A reader of the header takes all of meta, and the bytes of all items that are no pixels, wherever they are.
"""

from __future__ import annotations

from itertools import islice

from imgforge.errors import NotAnImage
from imgforge.processing.containers.bmff import Box, brands, read_boxes

__all__ = ["avif_header_length"]

_SEQUENCE = b"avis"
_TOP_LEVEL = frozenset({b"ftyp", b"meta", b"mdat", b"free", b"skip"})
_PIXELS = b"av01"
_BOX_HEADER = 8  # bytes at least
_MOST_BOXES, _MOST_ITEMS, _MOST_EXTENTS = 100, 100, 1000
_FROM_FILE, _FROM_IDAT = 0, 1  # construction methods
_LENGTHS = frozenset({0, 4, 8})  # of the numbers in iloc


def avif_header_length(body: bytes, size: int) -> int:
    """How many of the first bytes of an AVIF of *size* bytes have its header; *body* is its beginning.

    More than *body* has where it ends too early, then at least as many. *size* where only the whole file tells: a
    sequence, boxes behind the pixels, or anything unusual that the decoder has to judge.
    """
    try:
        return min(_header_length(body, size), size)
    except (NotAnImage, _UnusualError):
        return size


class _UnusualError(Exception):
    """The decoder has to judge."""


def _header_length(body: bytes, size: int) -> int:
    boxes = _boxes(body, size)
    kinds = [box.kind for box in boxes]
    if not boxes or kinds[0] != b"ftyp" or not _TOP_LEVEL.issuperset(kinds) or _SEQUENCE in brands(body):
        raise _UnusualError
    if boxes[-1].end != size:  # another box follows
        return max(boxes[-1].end + _BOX_HEADER, len(body) + 1)
    meta = _only(boxes, b"meta")
    return meta.end if meta.end > len(body) else max(meta.end, _end_of_items(body[meta.start + 4 : meta.end]))


def _boxes(content: bytes, size: int = 0) -> list[Box]:
    boxes = list(islice(read_boxes(content, size), _MOST_BOXES + 1))
    if len(boxes) > _MOST_BOXES:
        raise _UnusualError
    return boxes


def _only(boxes: list[Box], kind: bytes) -> Box:
    found = [box for box in boxes if box.kind == kind]
    if len(found) != 1:
        raise _UnusualError
    return found[0]


def _end_of_items(content: bytes) -> int:
    """Where in the file the last of the items ends that are no pixels, by the *content* of its meta box."""
    boxes = _boxes(content)
    types, locations = _only(boxes, b"iinf"), _only(boxes, b"iloc")
    idat = sum(box.end - box.start for box in boxes if box.kind == b"idat")
    return _Locations(content[locations.start : locations.end], idat).end_of_items(
        _types(content[types.start : types.end])
    )


def _types(content: bytes) -> dict[int, bytes]:
    """The types of the items by their number (ISO/IEC 14496-12, 8.11.6)."""
    fields = _Fields(content)
    version = fields.version()
    count = fields.number(4 if version else 2)
    types: dict[int, bytes] = {}
    entries = fields.rest()
    for box in _boxes(entries):
        entry = _Fields(entries[box.start : box.end])
        version = entry.version()
        if box.kind != b"infe" or version not in {2, 3}:
            raise _UnusualError
        number = entry.number(4 if version == 3 else 2)
        entry.number(2)
        if number in types:
            raise _UnusualError
        types[number] = entry.number(4).to_bytes(4, "big")
    if len(types) != count:
        raise _UnusualError
    return types


class _Locations:
    """The iloc box (ISO/IEC 14496-12, 8.11.3); *idat* is the length of the data in the meta box."""

    def __init__(self, content: bytes, idat: int) -> None:
        self._fields = _Fields(content)
        self._idat = idat
        self._version = self._fields.version()
        lengths = self._fields.number(2)
        self._offset, self._length, self._base, self._index = (lengths >> shift & 15 for shift in (12, 8, 4, 0))
        if self._version > 2 or not _LENGTHS.issuperset((self._offset, self._length, self._base, self._index)):
            raise _UnusualError

    def end_of_items(self, types: dict[int, bytes]) -> int:
        """Where in the file the last of the items ends that are no pixels by their *types*."""
        fields = self._fields
        count = fields.number(4 if self._version == 2 else 2)
        seen: set[int] = set()
        last, extents = 0, 0
        for _ in range(min(count, _MOST_ITEMS + 1)):
            item = fields.number(4 if self._version == 2 else 2)
            method = fields.number(2) & 15 if self._version else _FROM_FILE
            reference, base, parts = fields.number(2), fields.number(self._base), fields.number(2)
            seen.add(item)
            extents += parts
            if reference or extents > _MOST_EXTENTS:
                raise _UnusualError
            for _ in range(parts):
                end = self._end_of_extent(base)
                if types.get(item) != _PIXELS:
                    last = max(last, self._place(method, end))
        if len(seen) != count:  # too many, or one twice
            raise _UnusualError
        return last

    def _end_of_extent(self, base: int) -> int:
        self._fields.number(self._index if self._version else 0)
        offset, length = self._fields.number(self._offset), self._fields.number(self._length)
        if not length:  # all that is behind
            raise _UnusualError
        return base + offset + length

    def _place(self, method: int, end: int) -> int:
        """Where in the file an extent ends; 0 where it is in the meta box."""
        if method == _FROM_FILE:
            return end
        if method != _FROM_IDAT or end > self._idat:
            raise _UnusualError
        return 0


class _Fields:
    """Numbers of a box, one behind the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def number(self, length: int) -> int:
        """The next number, of *length* bytes."""
        value = self._content[self._at : self._at + length]
        if len(value) != length:
            raise _UnusualError
        self._at += length
        return int.from_bytes(value, "big")

    def version(self) -> int:
        """The version of the box, before its flags."""
        return self.number(4) >> 24

    def rest(self) -> bytes:
        """What has not been read."""
        return self._content[self._at :]
