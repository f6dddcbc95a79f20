"""Effects on colours: brightness, contrast, saturation, monochrome, duotone.

All are linear in the samples; alpha passes by. On 16-bit images the numbers of the options, which are in 0..255, are
scaled.
"""

from __future__ import annotations

from typing import Any

import pyvips

from imgforge.model import Color
from imgforge.processing.stages.colour_space import full_scale, standard_rgb
from imgforge.processing.state import State

__all__ = ["adjust_colours", "channels", "mixed", "split_alpha"]

# How much each channel adds to what the eye takes for brightness (Rec. ITU-R BT.709).
_LUMA = (0.2126, 0.7152, 0.0722)

# What contrast leaves as it is.
_MIDDLE = 128


def adjust_colours(state: State) -> None:
    """Contrast, brightness and saturation, as the Rust imgforge does them, then monochrome, then duotone."""
    options = state.options
    mono, duo = options.monochrome, options.duotone
    plain = (options.brightness, options.contrast, options.saturation) == (0, 1, 1)
    if plain and not mono.intensity and not duo.intensity:
        return
    image = standard_rgb(state, state.image)
    kind, band_format = image.interpretation, image.format
    colours, alpha = split_alpha(image)
    full = full_scale(image)
    if (options.brightness, options.contrast) != (0, 1):
        # (x - middle) * contrast + middle + brightness
        offset = (_MIDDLE * (1 - options.contrast) + options.brightness) * (full / 255)
        colours = colours.linear([options.contrast] * 3, [offset] * 3).rint().cast(band_format)
    if options.saturation != 1:
        colours = mixed(_luma(colours), colours, options.saturation)
    if mono.intensity:
        colours = mixed(colours, _shades(_luma(colours) / full, mono.color) * (full / 255), mono.intensity)
    if duo.intensity:
        share = _luma(colours) / full
        toned = share * channels(duo.light) + (1 - share) * channels(duo.dark)
        colours = mixed(colours, toned * (full / 255), duo.intensity)
    # Cast clips what has left the range; rounded, for cast alone would cut.
    colours = colours.rint().cast(band_format)
    state.image = (colours if alpha is None else colours.bandjoin(alpha)).copy(interpretation=kind)


def channels(colour: Color) -> list[float]:
    """Red, green and blue, 0..255."""
    return [float(colour.red), float(colour.green), float(colour.blue)]


def split_alpha(image: Any) -> tuple[Any, Any | None]:
    """The colours and the alpha, if there is one."""
    if not image.hasalpha():
        return image, None
    return image.extract_band(0, n=image.bands - 1), image.extract_band(image.bands - 1)


def mixed(first: Any, second: Any, share: float) -> Any:
    """*first* and *second* mixed, *share* of the second; a share above 1 leads beyond it."""
    return first * (1 - share) + second * share


def _luma(colours: Any) -> Any:
    return colours.recomb(pyvips.Image.new_from_array([list(_LUMA)]))


def _shades(share: Any, colour: Color) -> Any:
    """Black to white by way of *colour*, whose tint is strongest in the middle and gone at both ends."""
    red, green, blue = channels(colour)
    own = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    strength = share * (1 - share) * 4
    return share * 255.0 + strength * [red - own, green - own, blue - own]
