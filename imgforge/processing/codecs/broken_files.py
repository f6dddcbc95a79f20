"""What a client is told of a file that libvips cannot decode.

libvips adds the text of every failure to one buffer of the process, from whichever thread: what is found there may be
of another client's picture, and nothing in it says of which. So the client's line comes from the file alone, and
libvips' text is for the operator's log, where it is marked as libvips'.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from imgforge.errors import NotAnImage
from imgforge.processing.codecs.formats import detect_format
from imgforge.processing.codecs.truncation import tiff_is_complete
from imgforge.processing.containers import gif_is_complete

__all__ = ["broken"]

_END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
_RIFF_HEADER = 8  # bytes: its name, and the length of what follows


def broken(error: Exception, body: bytes) -> NotAnImage:
    """Returns the error for a client whose file is *body*, where *error* is that of libvips."""
    complete = _COMPLETE.get(detect_format(body) or "")
    reason = "it cannot be decoded" if complete is None or complete(body) else "it ends too early"
    lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
    text = re.sub(r"[^\x20-\x7e]", "", lines[0]) if lines else "no reason"
    return NotAnImage(f"the source image is broken: {reason}").caused_by(f"libvips: {text}")


def _jpeg_is_complete(body: bytes) -> bool:
    """Whether an end follows the last scan; that of a thumbnail comes before."""
    return body.rfind(_END_OF_IMAGE) > body.rfind(_START_OF_SCAN)


def _png_is_complete(body: bytes) -> bool:
    return b"IEND" in body


def _webp_is_complete(body: bytes) -> bool:
    return len(body) >= _RIFF_HEADER + int.from_bytes(body[4:8], "little")


_COMPLETE: dict[str, Callable[[bytes], bool]] = {
    "gif": gif_is_complete,
    "jpeg": _jpeg_is_complete,
    "png": _png_is_complete,
    "tiff": tiff_is_complete,
    "webp": _webp_is_complete,
}
