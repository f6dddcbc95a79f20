"""Who is to be named, in a TIFF's own tags (TIFF 6.0, section 8), which libvips passes over both ways.

In libvips' fields, and in the other formats, they are EXIF.
"""

from __future__ import annotations

import struct
from typing import Any

import pyvips

from imgforge.processing.containers import read_tiff
from imgforge.processing.metadata.exif import exif_of

__all__ = ["with_owners", "written_owners"]

_OWNERS = {"Artist": 315, "Copyright": 33432}
_ASCII = 2
_LONGEST = 1000
_HEADER = 8  # bytes before the directory of a file that has nothing else
_ENTRY = 12  # bytes


def with_owners(image: Any, body: bytes) -> Any:
    """*image*, which was read from *body*, with what the first directory says of them."""
    owners = _owners_in(body)
    if not owners:
        return image
    # As a block: of a field alone libvips writes no more than its ASCII.
    block = b"Exif\0\0II*\0" + struct.pack("<I", _HEADER) + _written("<", {}, owners, 0, _HEADER)
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "exif-data", block)
    return image


def written_owners(image: Any, body: bytes) -> bytes:
    """*body*, the file that libvips wrote of *image*, with its artist and copyright in a new first directory."""
    exif = exif_of(image, canonical=True)
    owners = {tag: exif[name] for name, tag in _OWNERS.items() if exif.get(name)}
    tiff = read_tiff(body)
    if not owners or tiff is None or tiff.big:
        return body
    entries = next(tiff.directories(), {})
    rows = {tag: body[entry.row : entry.row + _ENTRY] for tag, entry in entries.items()}
    padding = bytes(len(body) % 2)
    start = len(body) + len(padding)
    directory = _written(tiff.order, rows, owners, tiff.following(tiff.first), start)
    place = struct.pack(tiff.order + "I", start)
    return b"".join((body[:4], place, memoryview(body)[_HEADER:], padding, directory))


def _written(order: str, rows: dict[int, bytes], owners: dict[int, str], following: int, start: int) -> bytes:
    """A directory of *rows* and of texts by their tags, and behind it the texts, for the place *start* in a file."""
    rows, texts = dict(rows), b""
    at = start + 2 + _ENTRY * len(rows.keys() | owners.keys()) + 4
    for tag, text in owners.items():
        value = text.encode("utf-8") + b"\0"
        inside = len(value) <= 4
        place = value.ljust(4, b"\0") if inside else struct.pack(order + "I", at + len(texts))
        rows[tag] = struct.pack(order + "HHI4s", tag, _ASCII, len(value), place)
        texts += b"" if inside else value + bytes(len(value) % 2)
    entries = b"".join(rows[tag] for tag in sorted(rows))
    return struct.pack(order + "H", len(rows)) + entries + struct.pack(order + "I", following) + texts


def _owners_in(body: bytes) -> dict[int, str]:
    """Texts by their tags."""
    tiff = read_tiff(body)
    entries = next(tiff.directories(), {}) if tiff is not None else {}
    owners = {}
    for tag in _OWNERS.values():
        entry = entries.get(tag)
        if tiff is not None and entry is not None and entry.kind == _ASCII:
            owners[tag] = _text(tiff.bytes_of(entry, _LONGEST))
    return {tag: text for tag, text in owners.items() if text}


def _text(value: bytes) -> str:
    value = value.partition(b"\0")[0]
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip()
