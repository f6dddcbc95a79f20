"""Headers in the first bytes of a file: how many of these it takes, so that the rest need not be fetched.

Only of formats whose header can be complete before the pixels. A GIF counts its frames over the whole file, a TIFF
mostly has its directory behind the pixels, and the reader of HEIC decodes these at once.
"""

from __future__ import annotations

from itertools import islice

from imgforge.processing.codecs.formats import detect_format
from imgforge.processing.containers import (
    avif_header_length,
    cut_webp,
    jpeg_header_is_complete,
    read_chunks,
    webp_header_length,
)

__all__ = ["header_length", "readable_header"]

_MOST_CHUNKS = 1000


def header_length(body: bytes, size: int) -> int:
    """How many of the first bytes of a file of *size* bytes have all that a reader takes for its header.

    *body* is its beginning, but not all of it. Where it does not have the header, the answer is more than its length:
    at least so many bytes are needed, and for *size* only the whole file tells.
    """
    name = detect_format(body)
    if name == "webp":
        return webp_header_length(body, size)
    if name == "avif":
        return avif_header_length(body, size)
    if name == "jpeg":
        return len(body) if jpeg_header_is_complete(body) else len(body) + 1
    if name == "png":
        return len(body) if _png_header_is_complete(body) else len(body) + 1
    return size


def readable_header(body: bytes, size: int) -> bytes:
    """*body*, which has the header of a file of *size* bytes, as its reader opens it."""
    return cut_webp(body, webp_header_length(body, size)) if detect_format(body) == "webp" else body


def _png_header_is_complete(body: bytes) -> bool:
    return any(chunk.kind == b"IDAT" for chunk in islice(read_chunks(body), _MOST_CHUNKS))
