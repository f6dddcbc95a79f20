"""Brightness, contrast, saturation, monochrome and duotone.

All are linear in the samples and leave alpha alone. The options count in 0..255; on 16-bit images they are scaled.
"""

from __future__ import annotations

from typing import Any

import pyvips

from imgforge.model import Color
from imgforge.processing.stages.blending import channels, joined, mixed, split_alpha
from imgforge.processing.stages.colour_space import full_scale, standard_rgb
from imgforge.processing.state import State

__all__ = ["adjust_colours"]

# The share of each channel in perceived brightness (Rec. ITU-R BT.709).
_LUMA = (0.2126, 0.7152, 0.0722)

# The sample that contrast does not change.
_MIDDLE = 128


def adjust_colours(state: State) -> None:
    """Contrast, brightness and saturation, as the Rust imgforge applies them, then monochrome, then duotone."""
    options = state.options
    mono, duo = options.monochrome, options.duotone
    unadjusted = (options.brightness, options.contrast, options.saturation) == (0, 1, 1)
    if unadjusted and not mono.intensity and not duo.intensity:
        return
    image = standard_rgb(state, state.image)
    colours, alpha = split_alpha(image)
    full = full_scale(image)
    if (options.brightness, options.contrast) != (0, 1):
        # (x - middle) * contrast + middle + brightness
        offset = (_MIDDLE * (1 - options.contrast) + options.brightness) * (full / 255)
        colours = colours.linear([options.contrast] * 3, [offset] * 3).rint().cast(image.format)
    if options.saturation != 1:
        colours = mixed(_luma(colours), colours, options.saturation)
    if mono.intensity:
        colours = mixed(colours, _shades(_luma(colours) / full, mono.color) * (full / 255), mono.intensity)
    if duo.intensity:
        share = _luma(colours) / full
        toned = share * channels(duo.light) + (1 - share) * channels(duo.dark)
        colours = mixed(colours, toned * (full / 255), duo.intensity)
    state.image = joined(image, colours, alpha)  # whose cast clips samples that are out of range


def _luma(colours: Any) -> Any:
    return colours.recomb(pyvips.Image.new_from_array([list(_LUMA)]))


def _shades(share: Any, colour: Color) -> Any:
    """Black to white by way of *colour*, whose tint is strongest in the middle and gone at both ends."""
    red, green, blue = channels(colour)
    luma = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    strength = share * (1 - share) * 4
    return share * 255.0 + strength * [red - luma, green - luma, blue - luma]
