"""ICC profiles made of curves, and colours by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips

from tests.support.images import Pixels, see_through, smooth

__all__ = ["GREY", "GREY_ALPHA", "curved", "p3_as_srgb", "vips_png"]


GREY: Pixels = smooth()[:, :, 0].copy()


GREY_ALPHA: Pixels = see_through()[:, :, [0, 3]].copy()


def vips_png(pixels: Pixels, interpretation: str, **how: Any) -> bytes:
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)
    return bytes(image.pngsave_buffer(**how))


def p3_as_srgb(pixels: Pixels) -> Pixels:
    """By the matrices of SMPTE EG 432-1 and IEC 61966-2-1, which have the same white and curve."""
    encoded_values = pixels / 255.0
    linear = np.where(encoded_values <= 0.04045, encoded_values / 12.92, ((encoded_values + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    return curved(np.clip(linear @ matrix.T, 0, 1))


def curved(light: Pixels) -> Pixels:
    """Light of 0..1 as samples of 0..255, by the curve of IEC 61966-2-1."""
    samples = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    rounded: Pixels = np.rint(samples * 255)
    return rounded
