"""Headers in the first bytes of a file: whether they are all there, so that the rest need not be fetched.

Only of formats whose metadata comes before the pixels. A WebP has it behind them, a GIF counts its frames over the
whole file, and TIFF, AVIF and HEIC put it where they like.
"""

from __future__ import annotations

from itertools import islice

from imgforge.processing.codecs.formats import detect_format
from imgforge.processing.containers import jpeg_header_is_complete, read_chunks

__all__ = ["header_comes_first", "header_is_complete"]

_MOST_CHUNKS = 1000


def header_comes_first(body: bytes) -> bool:
    """Whether *body* begins a file of a format whose header is complete before the pixels."""
    return detect_format(body) in {"jpeg", "png"}


def header_is_complete(body: bytes) -> bool:
    """Whether *body*, the first bytes of a file, has everything that a reader of the whole file takes for its header.

    False where the format does not tell, or is none that puts its header first.
    """
    name = detect_format(body)
    if name == "jpeg":
        return jpeg_header_is_complete(body)
    return name == "png" and any(chunk.kind == b"IDAT" for chunk in islice(read_chunks(body), _MOST_CHUNKS))
