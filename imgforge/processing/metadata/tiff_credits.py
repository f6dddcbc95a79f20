"""Artist and copyright in a TIFF's own tags (TIFF 6.0, section 8), which libvips neither reads nor writes.

libvips' fields and the other formats hold them as EXIF.
"""

from __future__ import annotations

import struct
from typing import Any

import pyvips

from imgforge.processing.containers import read_tiff
from imgforge.processing.metadata.exif import exif_of

__all__ = ["with_credits", "write_credits"]

_CREDITS = {"Artist": 315, "Copyright": 33432}
_ASCII = 2
_LONGEST = 1000
_HEADER = 8  # bytes before the directory of a file that has nothing else
_ENTRY = 12  # bytes


def with_credits(image: Any, body: bytes) -> Any:
    """*image*, which was read from *body*, with the artist and copyright of the first directory as EXIF."""
    credit_texts = _credits_in(body)
    if not credit_texts:
        return image
    # As a block: libvips writes only the ASCII part of a field that has no block.
    block = b"Exif\0\0II*\0" + struct.pack("<I", _HEADER) + _directory("<", {}, credit_texts, 0, _HEADER)
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "exif-data", block)
    return image


def write_credits(image: Any, body: bytes) -> bytes:
    """*body*, which libvips wrote from *image*, with the image's artist and copyright in a new first directory."""
    exif = exif_of(image, canonical=True)
    credit_texts = {tag: exif[name] for name, tag in _CREDITS.items() if exif.get(name)}
    tiff = read_tiff(body)
    if not credit_texts or tiff is None or tiff.big:
        return body
    entries = next(tiff.directories(), {})
    rows = {tag: body[entry.row : entry.row + _ENTRY] for tag, entry in entries.items()}
    padding = bytes(len(body) % 2)
    start = len(body) + len(padding)
    directory = _directory(tiff.order, rows, credit_texts, tiff.following(tiff.first), start)
    place = struct.pack(tiff.order + "I", start)
    return b"".join((body[:4], place, memoryview(body)[_HEADER:], padding, directory))


def _directory(order: str, rows: dict[int, bytes], credit_texts: dict[int, str], following: int, start: int) -> bytes:
    """A directory of *rows* and *credit_texts*, both by tag, then the long texts, for the offset *start* in a file."""
    rows, texts = dict(rows), b""
    at = start + 2 + _ENTRY * len(rows.keys() | credit_texts.keys()) + 4
    for tag, text in credit_texts.items():
        value = text.encode("utf-8") + b"\0"
        inside = len(value) <= 4
        place = value.ljust(4, b"\0") if inside else struct.pack(order + "I", at + len(texts))
        rows[tag] = struct.pack(order + "HHI4s", tag, _ASCII, len(value), place)
        texts += b"" if inside else value + bytes(len(value) % 2)
    entries = b"".join(rows[tag] for tag in sorted(rows))
    return struct.pack(order + "H", len(rows)) + entries + struct.pack(order + "I", following) + texts


def _credits_in(body: bytes) -> dict[int, str]:
    """The artist and copyright of the first directory, by tag; empty texts are left out."""
    tiff = read_tiff(body)
    entries = next(tiff.directories(), {}) if tiff is not None else {}
    credit_texts = {}
    for tag in _CREDITS.values():
        entry = entries.get(tag)
        if tiff is not None and entry is not None and entry.kind == _ASCII:
            credit_texts[tag] = _text(tiff.bytes_of(entry, _LONGEST))
    return {tag: text for tag, text in credit_texts.items() if text}


def _text(value: bytes) -> str:
    value = value.partition(b"\0")[0]
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip()
