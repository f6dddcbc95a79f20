"""Pictures drawn by code, and their bytes in each format, made by Pillow wherever Pillow can."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import Image

__all__ = [
    "DRAWING",
    "Pixels",
    "animation",
    "decoded",
    "encoded",
    "oriented",
    "rotated_by_exif",
    "see_through",
    "smooth",
]

Pixels = npt.NDArray[Any]  # height x width x bands

_EXIF_ORIENTATION = 0x0112

DRAWING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40" viewBox="0 0 80 40">'
    b'<rect width="80" height="40" fill="#ff0000"/><rect x="40" width="40" height="40" fill="#0000ff"/></svg>'
)


@cache
def smooth(width: int = 96, height: int = 64) -> Pixels:
    """An RGB picture of low frequencies without symmetry, so that all good resamplers agree on it."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5) / width, (y + 0.5) / height
    red = 30 + 190 * u
    green = 40 + 170 * v
    blue = 128 + 100 * np.sin(3.0 * u + 1.0) * np.cos(2.5 * v)
    picture: Pixels = np.rint(np.stack([red, green, blue], axis=-1)).astype(np.uint8)
    return picture


@cache
def see_through(width: int = 96, height: int = 64) -> Pixels:
    """The same with an alpha that rises along the diagonal."""
    y, x = np.mgrid[0:height, 0:width]
    alpha = 20 + 235 * ((x + 0.5) / width + (y + 0.5) / height) / 2
    return np.dstack([smooth(width, height), np.rint(alpha).astype(np.uint8)])


def encoded(pixels: Pixels, file_format: str = "PNG", mode: str | None = None, **how: Any) -> bytes:
    """*pixels* (one to four bands, grey has two dimensions) as a file that Pillow wrote."""
    image = Image.fromarray(pixels)
    output = io.BytesIO()
    (image.convert(mode) if mode else image).save(output, file_format, **how)
    return output.getvalue()


def oriented(pixels: Pixels, orientation: int, file_format: str = "PNG", **how: Any) -> bytes:
    """The same with an EXIF orientation."""
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    return encoded(pixels, file_format, exif=exif, **how)


def rotated_by_exif(pixels: Pixels, orientation: int) -> Pixels:
    """The upright picture of stored *pixels*, by the table of EXIF 2.3 (tag 274)."""
    rows_first = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels.swapaxes(0, 1)[:, ::-1],
        7: pixels.swapaxes(0, 1)[::-1, ::-1],
        8: pixels.swapaxes(0, 1)[::-1],
    }
    return rows_first[orientation]


def animation(frames: Sequence[Pixels], delays: Sequence[int], loop: int, saver: str = "webpsave_buffer") -> bytes:
    """An animation; delays in milliseconds. Lossless as WebP."""
    image = pyvips.Image.new_from_array(np.concatenate(list(frames))).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "page-height", frames[0].shape[0])
    image.set_type(pyvips.GValue.array_int_type, "delay", list(delays))
    image.set_type(pyvips.GValue.gint_type, "loop", loop)
    how = {"lossless": True, "exact": True} if saver == "webpsave_buffer" else {"dither": 0}
    return bytes(getattr(image, saver)(**how))


def decoded(body: bytes, mode: str | None = None) -> Pixels:
    """The pixels of a file as Pillow reads it, in *mode* or in its own."""
    image = Image.open(io.BytesIO(body))
    return np.asarray(image.convert(mode) if mode else image)
