"""Formats that libvips leaves out and Pillow has: BMP and ICO both ways, PSD for reading.

Only the decoder of the detected format is tried, and nothing is decoded before its size is known.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import pyvips

from imgforge.errors import ImgforgeError, NotAnImage
from imgforge.processing.codecs.bmp import palette_depth, save_with_alpha, with_alpha
from imgforge.processing.codecs.bmp_runs import decoded, is_run_length_encoded
from imgforge.processing.containers import read_bmp_header
from imgforge.processing.pixel_buffers import MOST_PIXELS, check_pixels, from_pixels

__all__ = ["load", "save"]


def load(body: bytes, name: str, *, most_pixels: float = MOST_PIXELS, partial: bool = False) -> Any:
    """*body*, a file of the format *name*, as an sRGB image in memory; *partial*: as far as it goes."""
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(io.BytesIO(body), formats=[name.upper()]) as opened:
            width, height = opened.size
            check_pixels(width, height, most=most_pixels)
            header = read_bmp_header(body) if name == "bmp" else None
            depth = palette_depth(header) if header is not None else 0
            if header is not None and is_run_length_encoded(header):
                picture = _from_runs(pillow, body, opened.size, partial=partial)
            else:
                if partial:
                    _load_part(opened)
                picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
                if header is not None:
                    picture = with_alpha(pillow, body, header, picture)
    except ImgforgeError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything for broken files
        raise NotAnImage(f"the source image is broken: the {name} decoder says {type(error).__name__}") from None
    image = from_pixels(picture.tobytes(), width, height, len(picture.getbands()))
    for field, value in {"palette": 1, "bits-per-sample": depth}.items() if depth else ():
        image.set_type(pyvips.GValue.gint_type, field, value)
    return image


def _from_runs(pillow: Any, body: bytes, size: tuple[int, int], *, partial: bool) -> Any:
    drawing = decoded(body, *size)
    if not drawing.complete and not partial:
        raise NotAnImage("the source image is broken: it ends too early")
    picture = pillow.frombytes("P", size, bytes(drawing.indexes))
    picture.putpalette(drawing.palette)
    picture = picture.convert("RGB")
    if drawing.drawn is not None:
        drawn = pillow.frombytes("L", size, bytes(drawing.drawn))
        picture.paste((0, 0, 0), mask=drawn.point([255, 0] * 128))
    return picture


def _load_part(opened: Any) -> None:
    """Decode what there is; what was decoded before Pillow found the end missing stands in its image."""
    try:
        opened.load()
    except (OSError, ValueError):
        if not opened.tile:
            raise
        opened.tile = []


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
