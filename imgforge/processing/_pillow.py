"""Formats that libvips leaves out and Pillow has: BMP and ICO both ways, PSD for reading.

Pillow is an extra (`pip install 'imgforge[formats]'`), for it is a second set of decoders. Only the decoder of the
detected format is tried, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import NotAnImage, SourceTooLarge
from imgforge.processing._formats import FORMATS

__all__ = ["available", "load", "save"]

# Pillow decodes into memory at once: 400 MB of RGBA at most, whatever the operator allows.
_MOST_PIXELS = 100_000_000


def available() -> bool:
    """Whether the extra is installed."""
    try:
        import_module("PIL.Image")
    except ImportError:
        return False
    return True


def load(body: bytes, name: str) -> Any:
    """*body*, a file of the format *name*, as an sRGB image in memory."""
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(body), formats=[FORMATS[name].pillow]) as opened:
            width, height = opened.size
            if width * height > _MOST_PIXELS:
                raise SourceTooLarge(f"the source has too many pixels ({width}x{height})")
            picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except SourceTooLarge:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything for broken files
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    pixels = picture.tobytes()
    image = pyvips.Image.new_from_memory(pixels, width, height, len(picture.getbands()), "uchar")
    # Into memory of libvips' own, for Python frees its; of the foreign buffer itself copy_memory would make no copy.
    return image.copy(interpretation="srgb").copy_memory()


def save(image: Any, name: str) -> bytes:
    """*image* as a file of the format *name*."""
    pillow: Any = import_module("PIL.Image")
    image = image.colourspace("srgb").cast("uchar")
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    picture = pillow.frombytes(mode, (image.width, image.height), bytes(image.write_to_memory()))
    written = io.BytesIO()
    options = {"sizes": [picture.size]} if name == "ico" else {}
    picture.save(written, FORMATS[name].pillow, **options)
    return written.getvalue()
