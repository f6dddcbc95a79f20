"""Formats that libvips leaves out and Pillow has: BMP and ICO both ways, PSD for reading.

Only the decoder of the detected format is tried, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.processing._bmp import palette_depth, save_with_alpha, with_alpha
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
            depth = 0
            if name == "bmp":
                picture, depth = with_alpha(pillow, body, picture), palette_depth(body)
    except ImgforgeError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything for broken files
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    image = from_pixels(picture.tobytes(), width, height, len(picture.getbands()))
    for field, value in {"palette": 1, "bits-per-sample": depth}.items() if depth else ():
        image.set_type(pyvips.GValue.gint_type, field, value)
    return image


def save(image: Any, name: str) -> bytes:
    """*image* as a file of the format *name*."""
    pillow: Any = import_module("PIL.Image")
    grey = name == "bmp" and image.bands == 1
    image = image.colourspace("b-w" if grey else "srgb").cast("uchar")
    if name == "bmp" and image.hasalpha():
        return save_with_alpha(image)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    picture = pillow.frombytes(mode, (image.width, image.height), bytes(image.write_to_memory()))
    written = io.BytesIO()
    options = {"sizes": [picture.size]} if name == "ico" else {}
    picture.save(written, name.upper(), **options)
    return written.getvalue()
