"""Camera raw by way of LibRaw: developed with the camera's white balance, in sRGB, upright.

Most raw files are TIFFs by their first bytes. A Canon CR2 is known by its own mark, a DNG by its version tag, and the
files of Nikon's and Sony's cameras by a first directory that is a thumbnail with directories below it. Any other TIFF
is read as one.
"""

from __future__ import annotations

from typing import Any

from imgforge.processing.containers import read_tiff
from imgforge.processing.isolation import decode_isolated
from imgforge.processing.resources import Cancellation

__all__ = ["is_raw_tiff", "load"]

_SUBFILE_TYPE, _MAKE, _SUB_DIRECTORIES, _DNG_VERSION = 254, 271, 330, 50706
_REDUCED = 1
_MAKES = (b"NIKON", b"SONY")


def load(body: bytes, name: str, *, cancellation: Cancellation | None = None) -> Any:
    """*body* developed, as an image in memory."""
    pictures, _ = decode_isolated(body, name, cancellation=cancellation)
    return pictures[0]


def is_raw_tiff(body: bytes) -> bool:
    """Whether *body*, which begins like a TIFF, is a camera's raw file."""
    if body[8:10] == b"CR" and body[:2] == b"II":
        return True
    tiff = read_tiff(body)
    tags = next(tiff.directories(), {}) if tiff is not None else {}
    if tiff is None or _DNG_VERSION in tags:
        return tiff is not None
    if _SUB_DIRECTORIES not in tags or not next(tiff.integers(tags.get(_SUBFILE_TYPE), 1), 0) & _REDUCED:
        return False
    return _MAKE in tags and body.startswith(_MAKES, tags[_MAKE].at)
