"""A colour that comes up gradually across the picture."""

from __future__ import annotations

from imgforge.processing.stages.blending import blended, channels, joined, ramp, split_alpha
from imgforge.processing.stages.colour_space import full_scale, standard_rgb
from imgforge.processing.state import State

__all__ = ["gradient"]


def gradient(state: State) -> None:
    """Blend a colour over the picture, from nothing to its opacity along a direction; alpha stays as it is."""
    wanted = state.options.gradient
    if not wanted.opacity:
        return
    image = standard_rgb(state, state.image)
    colours, alpha = split_alpha(image)
    share = ramp(image.width, image.height, wanted.direction, wanted.start, wanted.stop) * wanted.opacity
    state.image = joined(image, blended(colours, channels(wanted.color), share, full_scale(image)), alpha)
