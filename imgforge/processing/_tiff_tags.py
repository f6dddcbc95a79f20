"""Who is to be named, in a TIFF's own tags (TIFF 6.0, section 8), which libvips passes over both ways.

In libvips' fields, and in the other formats, they are EXIF.
"""

from __future__ import annotations

import struct
from typing import Any

import pyvips

from imgforge.processing._exif import exif_of

__all__ = ["with_owners", "written_owners"]

_OWNERS = {"Artist": 315, "Copyright": 33432}
_ASCII = 2
_LONGEST = 1000
_HEADER = 8  # bytes before the directory of a file that has nothing else
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

# What an entry says by its tag: the type, how many, and the value or where it is.
Entries = dict[int, tuple[int, int, bytes]]


def with_owners(image: Any, body: bytes) -> Any:
    """*image*, which was read from *body*, with what the first directory says of them."""
    told = _owners_in(body)
    if not told:
        return image
    # As a block: of a field alone libvips writes no more than its ASCII.
    block = b"Exif\0\0II*\0" + struct.pack("<I", _HEADER) + _written("<", {}, told, bytes(4), _HEADER)
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "exif-data", block)
    return image


def written_owners(image: Any, body: bytes) -> bytes:
    """*body*, the file that libvips wrote of *image*, with its artist and copyright in a new first directory."""
    exif = exif_of(image, canonical=True)
    told = {tag: exif[name] for name, tag in _OWNERS.items() if exif.get(name)}
    order = _ORDERS.get(body[:4])
    if not told or order is None:
        return body
    entries, following = _directory(body, order)
    body += bytes(len(body) % 2)
    start = len(body)
    return body[:4] + struct.pack(order + "I", start) + body[8:] + _written(order, entries, told, following, start)


def _written(order: str, entries: Entries, told: dict[int, str], following: bytes, start: int) -> bytes:
    """A directory of *entries* and of texts by their tags, and behind it the texts, for the place *start* in a file."""
    entries, texts = dict(entries), b""
    at = start + 2 + 12 * len(entries.keys() | told.keys()) + 4
    for tag, text in told.items():
        value = text.encode("utf-8") + b"\0"
        inside = len(value) <= 4
        entries[tag] = (
            _ASCII,
            len(value),
            value.ljust(4, b"\0") if inside else struct.pack(order + "I", at + len(texts)),
        )
        texts += b"" if inside else value + bytes(len(value) % 2)
    rows = b"".join(struct.pack(order + "HHI4s", tag, *entries[tag]) for tag in sorted(entries))
    return struct.pack(order + "H", len(entries)) + rows + following + texts


def _owners_in(body: bytes) -> dict[int, str]:
    """Texts by their tags."""
    order = _ORDERS.get(body[:4])
    try:
        entries = _directory(body, order)[0] if order else {}
    except struct.error:
        return {}
    told = {}
    for tag in _OWNERS.values():
        kind, length, place = entries.get(tag, (0, 0, b""))
        if kind == _ASCII:
            (at,) = struct.unpack(f"{order}I", place)
            told[tag] = _text(place[:length] if length <= 4 else body[at : at + min(length, _LONGEST)])
    return {tag: text for tag, text in told.items() if text}


def _text(value: bytes) -> str:
    value = value.partition(b"\0")[0]
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip()


def _directory(body: bytes, order: str) -> tuple[Entries, bytes]:
    """The first one's entries, and where the next one is, as it stands there."""
    (at,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, at)
    end = at + 2 + 12 * count
    rows = struct.iter_unpack(order + "HHI4s", struct.unpack_from(f"{12 * count}s", body, at + 2)[0])
    entries = {tag: (kind, length, place) for tag, kind, length, place in rows}
    return entries, struct.unpack_from("4s", body, end)[0]
