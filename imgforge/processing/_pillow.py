"""Formats that libvips leaves out and Pillow has: BMP and ICO both ways, PSD for reading.

Only the decoder of the detected format is tried, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.processing._memory import check_pixels, from_pixels

__all__ = ["load", "save"]


def load(body: bytes, name: str) -> Any:
    """*body*, a file of the format *name*, as an sRGB image in memory."""
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(body), formats=[name.upper()]) as opened:
            width, height = opened.size
            check_pixels(width, height)
            picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except ImgforgeError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything for broken files
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    return from_pixels(picture.tobytes(), width, height, len(picture.getbands()))


def save(image: Any, name: str) -> bytes:
    """*image* as a file of the format *name*."""
    pillow: Any = import_module("PIL.Image")
    image = image.colourspace("srgb").cast("uchar")
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    picture = pillow.frombytes(mode, (image.width, image.height), bytes(image.write_to_memory()))
    written = io.BytesIO()
    options = {"sizes": [picture.size]} if name == "ico" else {}
    picture.save(written, name.upper(), **options)
    return written.getvalue()
