"""Sharpening after shrinking."""

from __future__ import annotations

import pyvips

from imgforge.processing.settings import chosen, merged
from imgforge.processing.stages.colour_space import standard_rgb
from imgforge.processing.state import State

__all__ = ["unsharp_mask"]


def unsharp_mask(state: State) -> None:
    """Convolve with a 3x3 kernel: -weight around the centre, sum *divider*; a greater divider sharpens less."""
    if chosen(state.options.unsharp_masking.mode, state.settings.unsharp_masking.mode) == "none":
        return
    wanted = merged(state.settings.unsharp_masking, state.options.unsharp_masking)
    plan = state.plan
    smaller = plan.scaled.width < plan.source.width or plan.scaled.height < plan.source.height
    if wanted.mode == "auto" and (state.options.sharpen or not smaller):
        return
    image = standard_rgb(state, state.image)
    around, centre = -wanted.weight, wanted.divider + 8 * wanted.weight
    rows = [[around, around, around], [around, centre, around], [around, around, around]]
    kernel = pyvips.Image.new_from_array(rows, scale=wanted.divider)
    if image.hasalpha():
        sharp = image.premultiply().conv(kernel, precision="float").unpremultiply()
    else:
        sharp = image.conv(kernel, precision="float")
    state.image = sharp.rint().cast(image.format).copy(interpretation=image.interpretation)
