"""AVIF files with their items where a test wants them (ISO/IEC 14496-12, 8.11; ISO/IEC 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from imgforge.processing.containers import read_boxes
from tests.support.pictures import encode, gradient

__all__ = ["Avif", "Item", "box"]

Place = Literal["before", "behind", "idat"]


def box(kind: bytes, content: bytes, *, large: bool = False) -> bytes:
    """A box, with a length of 64 bits where it is *large*."""
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


@dataclass(frozen=True, slots=True)
class Item:
    """An item that describes the picture; its *place* is before or behind the pixels, or in the meta box."""

    kind: bytes
    data: bytes
    place: Place = "before"
    parts: int = 1

    @property
    def names(self) -> bytes:
        """What follows the type in its entry: the name, and that of the media type."""
        return b"\0application/rdf+xml\0" if self.kind == b"mime" else b"\0"


@dataclass(frozen=True, slots=True)
class Avif:
    """A file of 64 x 40 pixels with *items*; *version* and *width* (bytes of a number) are those of iloc."""

    items: Sequence[Item] = ()
    version: int = 0
    width: int = 4
    entries: int = 2  # the version of the entries in iinf
    based: bool = False  # whether offsets count from that of the pixels
    brand: bytes = b"avif"
    before: bytes = b""  # boxes between meta and mdat
    behind: bytes = b""
    open_end: bool = False  # whether mdat says no length
    large: bool = False
    references: int = 0  # to other files
    more: tuple[bytes, ...] = ()  # boxes in meta

    def __bytes__(self) -> bytes:
        places, data = self._places(0)
        head = self._head(places)
        mdat = box(b"mdat", data, large=self.large)
        if self.open_end:
            mdat = bytes(4) + mdat[4:]
        start = len(head) + len(mdat) - len(data)
        return self._head(self._places(start)[0]) + mdat + self.behind

    def _places(self, start: int) -> tuple[list[tuple[int, list[tuple[int, int]]]], bytes]:
        """The method and the extents of each item, the pixels first; and the content of mdat, from *start* on."""
        data, idat = b"", 0
        places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        numbered = list(enumerate(self.items, 2))
        order = [(number, item) for number, item in numbered if item.place != "behind"]
        order.append((1, Item(b"av01", _plain()[b"mdat"])))
        order += [(number, item) for number, item in numbered if item.place == "behind"]
        for number, item in order:
            content, first = item.data, idat if item.place == "idat" else start + len(data)
            length = -(-len(content) // item.parts)
            extents = [(first + at, min(length, len(content) - at)) for at in range(0, len(content), length)]
            places[number] = int(item.place == "idat"), extents
            if item.place == "idat":
                idat += len(content)
            else:
                data += content
        return [places[number] for number in sorted(places)], data

    def _head(self, places: list[tuple[int, list[tuple[int, int]]]]) -> bytes:
        boxes = _plain()
        idat = b"".join(item.data for item in self.items if item.place == "idat")
        content = bytes(4) + box(b"hdlr", boxes[b"hdlr"]) + box(b"pitm", boxes[b"pitm"])
        content += box(b"iloc", self._iloc(places)) + box(b"iinf", self._iinf())
        if self.items:
            numbers = range(2, 2 + len(self.items))
            references = b"".join(box(b"cdsc", struct.pack(">HHH", number, 1, 1)) for number in numbers)
            content += box(b"iref", bytes(4) + references)
        content += box(b"iprp", boxes[b"iprp"]) + (box(b"idat", idat) if idat else b"") + b"".join(self.more)
        ftyp = box(b"ftyp", self.brand + bytes(4) + b"mif1miaf")
        return ftyp + box(b"meta", content) + self.before

    def _iinf(self) -> bytes:
        entries = b""
        for number, item in enumerate((Item(b"av01", b""), *self.items), 1):
            head = struct.pack(">IIH" if self.entries == 3 else ">IHH", self.entries << 24, number, 0)
            entries += box(b"infe", head + item.kind + item.names)
        return struct.pack(">IH", 0, 1 + len(self.items)) + entries

    def _iloc(self, places: list[tuple[int, list[tuple[int, int]]]]) -> bytes:
        number = {4: ">I", 8: ">Q"}[self.width]
        base = places[0][1][0][0] if self.based else 0
        lengths = self.width << 12 | self.width << 8 | (self.width if self.based else 0) << 4
        content = struct.pack(">IH", self.version << 24, lengths)
        content += struct.pack(">I" if self.version == 2 else ">H", len(places))
        for item, (method, extents) in enumerate(places, 1):
            content += struct.pack(">I" if self.version == 2 else ">H", item)
            content += struct.pack(">H", method) if self.version else b""
            # Offsets have no sign: only items at the base or behind it count from there.
            from_base = base if base <= extents[0][0] and not method else 0
            content += struct.pack(">H", self.references)
            content += struct.pack(number, from_base) if self.based else b""
            content += struct.pack(">H", len(extents))
            for offset, length in extents:
                content += struct.pack(number, offset - from_base) + struct.pack(number, length)
        return content


@cache
def _plain() -> dict[bytes, bytes]:
    """The boxes of an encoder's file, and of its meta box, by their types."""
    body = encode(gradient(64, 40), "AVIF")
    top = {one.kind: body[one.start : one.end] for one in read_boxes(body)}
    meta = top[b"meta"][4:]
    return top | {one.kind: meta[one.start : one.end] for one in read_boxes(meta)}
