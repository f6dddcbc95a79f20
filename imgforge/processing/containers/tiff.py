"""The directories of a TIFF (TIFF 6.0, section 2) or a BigTIFF, read within bounds.

    header ── first directory ── the next ── ... ── 0
                └ entries: tag, type, count, and the values, or where they are

An entry is kept as its type, its count and the offset of its values. Values are decoded on demand and only as many as
the caller wants, so that a tag which covers the whole file costs nothing. A directory that is truncated, circular or
too long ends the reading without an error: the decoder judges the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

__all__ = ["Entry", "Tiff", "read_tiff"]

_MOST_DIRECTORIES = 65_535
_MOST_ENTRIES = 4096  # of a directory
_MOST_ENTRIES_IN_ALL = 1 << 17  # of all directories in one reading, which may overlap in the file
_CHUNK = 1024  # values that are decoded at once
# Bytes of a value by its type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8


@dataclass(frozen=True, slots=True)
class Entry:
    """The type and number of an entry's values, and two offsets in the file: of the first value, and of the entry."""

    kind: int
    count: int
    at: int
    row: int


Directory = dict[int, Entry]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How TIFF or BigTIFF writes the number of entries, an entry, and an offset."""

    count: struct.Struct
    entry: struct.Struct
    offset: struct.Struct

    @classmethod
    def of(cls, order: str, *, big: bool) -> _Layout:
        count, entry, offset = ("Q", "HHQ8x", "Q") if big else ("H", "HHI4x", "I")
        return cls(struct.Struct(order + count), struct.Struct(order + entry), struct.Struct(order + offset))


_HEADERS = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0\x08\0\0\0": ("<", True),
    b"MM\0+\0\x08\0\0": (">", True),
}
_LAYOUTS = {header: _Layout.of(order, big=big) for header, (order, big) in _HEADERS.items()}


class Tiff:
    """The directories of *body*; `order` is its byte order ("<" or ">"), `first` the offset of the first directory."""

    def __init__(self, body: bytes, header: bytes) -> None:
        self.body = body
        self.order, self.big = _HEADERS[header]
        self._layout = _LAYOUTS[header]
        (self.first,) = self._layout.offset.unpack_from(body, len(header))

    def directories(self, start: int = 0, count: int = 1) -> Iterator[Directory]:
        """Yields the entries by tag of at most *count* directories, from number *start* on (0 is the first)."""
        left = _MOST_ENTRIES_IN_ALL
        for at in islice(self._places(), start, start + count):
            entries = self._entries(at)
            left -= len(entries)
            if not entries or left < 0:
                return
            yield entries

    def following(self, at: int) -> int:
        """The offset of the directory after the one at the offset *at*; 0 where there is none."""
        count = self._count(at)
        try:
            (place,) = self._layout.offset.unpack_from(self.body, self._rows(at) + count * self._layout.entry.size)
        except struct.error:
            return 0
        return int(place)

    def integers(self, entry: Entry | None, most: int) -> Iterator[int]:
        """Yields at most *most* values of *entry*; none where the entry is missing, truncated or not of integers."""
        code = _INTEGERS.get(entry.kind) if entry is not None else None
        if entry is None or code is None:
            return
        size = _SIZES[entry.kind]
        there = (len(self.body) - entry.at) // size
        left, at = min(entry.count, most) if entry.count <= there else 0, entry.at
        while left > 0:
            part = min(left, _CHUNK)
            yield from struct.unpack_from(f"{self.order}{part}{code}", self.body, at)
            left, at = left - part, at + part * size

    def bytes_of(self, entry: Entry, longest: int) -> bytes:
        """The values of *entry* as they stand in the file, *longest* bytes at most."""
        return self.body[entry.at : entry.at + min(entry.count * _SIZES.get(entry.kind, 1), longest)]

    def _places(self) -> Iterator[int]:
        at, seen = self.first, set[int]()
        while at and at not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(at)
            yield at
            at = self.following(at)

    def _rows(self, at: int) -> int:
        """Where the entries of the directory at *at* begin."""
        return at + self._layout.count.size

    def _count(self, at: int) -> int:
        try:
            (count,) = self._layout.count.unpack_from(self.body, at)
        except struct.error:
            return 0
        return int(count)

    def _entries(self, at: int) -> Directory:
        """The entries by tag; empty where they are truncated or too many."""
        count, row, size = self._count(at), self._rows(at), self._layout.entry.size
        entries: Directory = {}
        if count > _MOST_ENTRIES or row + count * size > len(self.body):
            return entries
        room = self._layout.offset.size
        for tag, kind, length in self._layout.entry.iter_unpack(memoryview(self.body)[row : row + count * size]):
            place = row + size - room
            if length * _SIZES.get(kind, 1) > room:
                (place,) = self._layout.offset.unpack_from(self.body, place)
            entries[tag] = Entry(kind, length, place, row)
            row += size
        return entries


def read_tiff(body: bytes) -> Tiff | None:
    """Opens *body*; None where it does not begin with the header of a TIFF or a BigTIFF."""
    for header in _HEADERS:
        if body.startswith(header):
            try:
                return Tiff(body, header)
            except struct.error:
                return None
    return None
