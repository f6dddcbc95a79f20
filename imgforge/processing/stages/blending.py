"""Arithmetic that effects share: channels and alpha, mixing, and shares that rise along a direction.

Samples are floats after it: an effect rounds and casts once, at its end (`joined`), for a cast alone truncates.
"""

from __future__ import annotations

import math
from typing import Any

import pyvips

from imgforge.model import Color

__all__ = ["blended", "channels", "clamped", "joined", "mixed", "ramp", "split_alpha"]


def channels(colour: Color) -> list[float]:
    """Red, green and blue, 0..255."""
    return [float(colour.red), float(colour.green), float(colour.blue)]


def split_alpha(image: Any) -> tuple[Any, Any | None]:
    """The colour bands, and the alpha band or None."""
    if not image.hasalpha():
        return image, None
    return image.extract_band(0, n=image.bands - 1), image.extract_band(image.bands - 1)


def joined(image: Any, colours: Any, alpha: Any | None) -> Any:
    """*colours* and *alpha* as an image of the format and the interpretation of *image*."""
    bands = colours if alpha is None else colours.bandjoin(alpha)
    return bands.rint().cast(image.format).copy(interpretation=image.interpretation)


def mixed(first: Any, second: Any, share: float) -> Any:
    """*first* and *second* mixed, *share* of the second; a share above 1 extrapolates beyond it."""
    return first * (1 - share) + second * share


def blended(colours: Any, colour: list[float], share: Any, full: float) -> Any:
    """*share* (0..1, a number or an image) of *colour* (0..255) over *colours*, whose white is *full*."""
    return colours * (1 - share) + [channel * full / 255 * 1.0 for channel in colour] * _share_image(share, colours)


def _share_image(share: Any, colours: Any) -> Any:
    """*share* as an image of the size of *colours*: a plain number has no pixels to multiply a colour with."""
    if isinstance(share, pyvips.Image):
        return share
    return colours.extract_band(0) * 0 + share


def ramp(width: int, height: int, direction: float, start: float, stop: float) -> Any:
    """0..1 over a picture of *width* by *height* pixels, along *direction* (degrees clockwise from downwards).

    0 up to *start*, 1 from *stop* on; both are fractions of the picture's extent along the direction.
    """
    angle = math.radians(direction)
    x, y = -math.sin(angle), math.cos(angle)
    extent = abs(width * x) + abs(height * y)
    xy = pyvips.Image.xyz(width, height)
    # Pixel centres, measured from the middle of the picture.
    along = ((xy[0] - (width - 1) / 2) * x + (xy[1] - (height - 1) / 2) * y) / extent + 0.5
    if stop == start:
        return (along >= start) / 255.0
    return clamped((along - start) / (stop - start), 0, 1)


def clamped(image: Any, low: float, high: float) -> Any:
    """*image* with all samples between *low* and *high*."""
    image = (image < low).ifthenelse(low, image)
    return image if math.isinf(high) else (image > high).ifthenelse(high, image)
