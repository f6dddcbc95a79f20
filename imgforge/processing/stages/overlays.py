"""What is laid over the picture: a colour, a gradient; and the rounding of its corners."""

from __future__ import annotations

import math
from typing import Any

import pyvips

from imgforge.processing.stages.colour_effects import channels, split_alpha
from imgforge.processing.stages.colour_space import full_scale, standard_rgb
from imgforge.processing.state import State

__all__ = ["clamped", "colorize", "gradient", "ramp", "round_corners"]


def colorize(state: State) -> None:
    """A colour over everything, or only over what was visible."""
    wanted = state.options.colorize
    if not wanted.opacity:
        return
    image = standard_rgb(state, state.image)
    colours, alpha = split_alpha(image)
    full = full_scale(image)
    laid = _over(colours, channels(wanted.color), wanted.opacity, full)
    if alpha is not None and not wanted.keep_alpha:
        laid, alpha = _over_transparent(colours, alpha, channels(wanted.color), wanted.opacity, full)
    state.image = _rejoined(image, laid, alpha)


def gradient(state: State) -> None:
    """A colour that comes up gradually; what is transparent stays so."""
    wanted = state.options.gradient
    if not wanted.opacity:
        return
    image = standard_rgb(state, state.image)
    colours, alpha = split_alpha(image)
    share = ramp(image.width, image.height, wanted.direction, wanted.start, wanted.stop) * wanted.opacity
    state.image = _rejoined(image, _over(colours, channels(wanted.color), share, full_scale(image)), alpha)


def round_corners(state: State) -> None:
    """Transparent corners of a radius in pixels (dpr counts), at most half the shorter side."""
    image, radius = state.image, state.options.round
    if not radius:
        return
    radius = min(radius * state.plan.dpr, min(image.width, image.height) / 2)
    if not image.hasalpha():
        image = image.addalpha()
    # Distance from the inner rectangle that the corners' centres span; the edge falls off over one pixel.
    xy = pyvips.Image.xyz(image.width, image.height)
    away = [
        clamped((xy[axis] - (side - 1) / 2).abs() - (side / 2 - radius), 0, math.inf)
        for axis, side in enumerate((image.width, image.height))
    ]
    cover = clamped((away[0] ** 2 + away[1] ** 2) ** 0.5 * -1 + (radius + 0.5), 0, 1)
    colours, alpha = split_alpha(image)
    state.image = _rejoined(image, colours, alpha * cover)


def ramp(width: int, height: int, direction: float, start: float, stop: float) -> Any:
    """0..1 over a picture: 0 up to *start*, 1 from *stop* on, along *direction* (degrees clockwise from downwards)."""
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
    """*image* with nothing below *low* or above *high*."""
    image = (image < low).ifthenelse(low, image)
    return image if math.isinf(high) else (image > high).ifthenelse(high, image)


def _over(colours: Any, colour: list[float], share: Any, full: float) -> Any:
    return colours * (1 - share) + [channel * full / 255 * 1.0 for channel in colour] * _factor(share, colours)


def _factor(share: Any, colours: Any) -> Any:
    """*share* as an image of the size of *colours*, for a plain number has no pixels to be multiplied with a colour."""
    if isinstance(share, pyvips.Image):
        return share
    return colours.extract_band(0) * 0 + share


def _over_transparent(colours: Any, alpha: Any, colour: list[float], opacity: float, full: float) -> tuple[Any, Any]:
    """Colours and alpha of *colour* composited over a picture that is partly transparent (Porter and Duff's "over")."""
    below = alpha / full * (1 - opacity)
    covered = below + opacity
    laid = (colours * below + [channel * full / 255 * opacity for channel in colour]) / covered
    return laid, covered * full


def _rejoined(image: Any, colours: Any, alpha: Any | None) -> Any:
    whole = colours if alpha is None else colours.bandjoin(alpha)
    return whole.rint().cast(image.format).copy(interpretation=image.interpretation)
