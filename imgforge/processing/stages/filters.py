"""Blur, sharpening and pixelation of the finished size."""

from __future__ import annotations

import math
from typing import Any

from imgforge.processing.stages.colour_space import standard_rgb
from imgforge.processing.state import State

__all__ = ["WIDEST_SIGMA", "apply_filters"]

# A wider mask costs more than it may, and shows little more than one colour.
WIDEST_SIGMA = 300.0


def apply_filters(state: State) -> None:
    """Blur, then sharpen, then pixelate."""
    blur, sharpen, size = state.options.blur, state.options.sharpen, state.options.pixelate
    if not blur and not sharpen and size <= 1:
        return
    size = min(size, max(state.image.width, state.image.height))
    if size > 1 and state.image.height % size:
        state.to_memory()  # the mirror reads rows again that a decoder has delivered already
    image = standard_rgb(state, state.image)
    kind, band_format = image.interpretation, image.format
    premultiplied = bool(blur or sharpen) and image.hasalpha()
    if premultiplied:
        image = image.premultiply().cast(band_format)
    if blur:
        image = image.gaussblur(min(blur, WIDEST_SIGMA))
    if sharpen:
        image = image.sharpen(sigma=min(max(sharpen, 0.000001), 10.0))
    if size > 1:
        image = _pixelated(image, size)
    if premultiplied:
        image = image.unpremultiply()
    state.image = image.colourspace(kind).cast(band_format)
    # The filters read neighbourhoods; what comes next may go over the pixels more than once.
    state.to_memory()


def _pixelated(image: Any, size: int) -> Any:
    """Blocks of *size*, each the mean of its pixels; the picture is mirrored where the last ones project."""
    width, height = image.width, image.height
    full_width, full_height = (math.ceil(side / size) * size for side in (width, height))
    if (full_width, full_height) != (width, height):
        image = image.embed(0, 0, full_width, full_height, extend="mirror")
    image = image.shrink(size, size).zoom(size, size)
    return image.crop(0, 0, width, height)
