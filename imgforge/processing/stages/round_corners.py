"""Round, transparent corners."""

from __future__ import annotations

import math

import pyvips

from imgforge.processing.stages.blending import clamped, joined, split_alpha
from imgforge.processing.state import State

__all__ = ["round_corners"]


def round_corners(state: State) -> None:
    """Make the corners transparent by a radius in pixels times dpr, at most half the shorter side."""
    image, radius = state.image, state.options.round
    if not radius:
        return
    radius = min(radius * state.plan.dpr, min(image.width, image.height) / 2)
    if not image.hasalpha():
        image = image.addalpha()
    # Distance from the inner rectangle that the corners' centres span; the edge falls off over one pixel.
    xy = pyvips.Image.xyz(image.width, image.height)
    distances = [
        clamped((xy[axis] - (side - 1) / 2).abs() - (side / 2 - radius), 0, math.inf)
        for axis, side in enumerate((image.width, image.height))
    ]
    cover = clamped((distances[0] ** 2 + distances[1] ** 2) ** 0.5 * -1 + (radius + 0.5), 0, 1)
    colours, alpha = split_alpha(image)
    state.image = joined(image, colours, alpha * cover)
