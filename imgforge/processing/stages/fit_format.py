"""Shrinking to the largest picture that the format can hold."""

from __future__ import annotations

import math

from imgforge.processing.stages.scale import resized
from imgforge.processing.state import State

__all__ = ["fit_format"]

# The most pixels of a GIF that libvips writes.
_GIF_PIXELS = 2000 * 2000 * 64


def fit_format(state: State) -> None:
    """Shrink an image that has longer sides, or more pixels, than the format allows."""
    image, longest = state.image, state.format.longest
    if not longest:
        return
    excess = max(image.width, image.height) / longest
    if state.format_name == "gif":
        excess = max(excess, image.width * image.height / _GIF_PIXELS)
        excess = math.sqrt(excess) if excess > 1 else excess
    if excess > 1:
        state.image = resized(image, 1 / excess, 1 / excess)
