"""Blur, sharpening and pixelation of the scaled image."""

from __future__ import annotations

import math
from typing import Any

from imgforge.processing.stages.colour_space import standard_rgb
from imgforge.processing.state import State

__all__ = ["WIDEST_SIGMA", "apply_filters", "gaussian"]

# A wider mask costs too much, and shows little more than one colour.
WIDEST_SIGMA = 300.0


def apply_filters(state: State) -> None:
    """Blur, then sharpen, then pixelate."""
    blur, sharpen, block = state.options.blur, state.options.sharpen, state.options.pixelate
    if not blur and not sharpen and block <= 1:
        return
    block = min(block, max(state.image.width, state.image.height))
    if block > 1 and state.image.height % block:
        state.to_memory()  # mirroring reads rows again that a decoder has delivered already
    image = standard_rgb(state, state.image)
    interpretation, band_format = image.interpretation, image.format
    premultiplied = bool(blur or sharpen) and image.hasalpha()
    if premultiplied:
        image = image.premultiply().cast(band_format)
    if blur:
        image = image.gaussblur(min(blur, WIDEST_SIGMA))
    if sharpen:
        image = image.sharpen(sigma=min(max(sharpen, 0.000001), 10.0))
    if block > 1:
        image = _pixelated(image, block)
    if premultiplied:
        image = image.unpremultiply()
    state.image = image.colourspace(interpretation).cast(band_format)
    # The filters read neighbourhoods; later stages may read pixels more than once.
    state.to_memory()


def gaussian(image: Any, sigma: float) -> Any:
    """*image* blurred with *sigma* pixels; colours of invisible pixels do not bleed."""
    if not image.hasalpha():
        return image.gaussblur(sigma)
    return image.premultiply().cast(image.format).gaussblur(sigma).unpremultiply().cast(image.format)


def _pixelated(image: Any, block: int) -> Any:
    """Blocks of *block* pixels a side, each the mean of its pixels; the last blocks are filled by mirroring."""
    width, height = image.width, image.height
    full_width, full_height = (math.ceil(side / block) * block for side in (width, height))
    if (full_width, full_height) != (width, height):
        image = image.embed(0, 0, full_width, full_height, extend="mirror")
    image = image.shrink(block, block).zoom(block, block)
    return image.crop(0, 0, width, height)
