"""Images that were cut off, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyvips

from tests.support.images import Pixels, encoded

__all__ = ["FILES", "NOISE", "sliced", "whole"]


NOISE: Pixels = np.random.default_rng(7).integers(0, 256, (160, 240, 3)).astype(np.uint8)


def avif() -> bytes:
    image = pyvips.Image.new_from_array(NOISE).copy(interpretation="srgb")
    return bytes(image.heifsave_buffer(Q=70, compression="av1", effort=1))


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(NOISE, "JPEG", quality=90),
    "progressive jpeg": lambda: encoded(NOISE, "JPEG", quality=90, progressive=True),
    "png": lambda: encoded(NOISE),
    "webp": lambda: encoded(NOISE, "WEBP", quality=80),
    "lossless webp": lambda: encoded(NOISE, "WEBP", lossless=True),
    "gif": lambda: encoded(NOISE, "GIF"),
    "tiff": lambda: encoded(NOISE, "TIFF"),
    "packed tiff": lambda: encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "avif": avif,
}


@cache
def whole(name: str) -> bytes:
    return FILES[name]()


def sliced(pixels: Pixels, **how: Any) -> bytes:
    """A TIFF in many strips or tiles, without compression, of three pages."""
    image = pyvips.Image.new_from_array(np.concatenate([pixels] * 3)).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "page-height", pixels.shape[0])
    return bytes(image.tiffsave_buffer(compression="none", **how))
