"""A colour over the whole picture."""

from __future__ import annotations

from typing import Any

from imgforge.processing.stages.blending import blended, channels, joined, split_alpha
from imgforge.processing.stages.colour_space import full_scale, standard_rgb
from imgforge.processing.state import State

__all__ = ["colorize"]


def colorize(state: State) -> None:
    """Blend a colour over all pixels; with `keep_alpha` transparent ones stay as transparent as they are."""
    wanted = state.options.colorize
    if not wanted.opacity:
        return
    image = standard_rgb(state, state.image)
    colours, alpha = split_alpha(image)
    full = full_scale(image)
    if alpha is None or wanted.keep_alpha:
        colours = blended(colours, channels(wanted.color), wanted.opacity, full)
    else:
        colours, alpha = _over_transparent(colours, alpha, channels(wanted.color), wanted.opacity, full)
    state.image = joined(image, colours, alpha)


def _over_transparent(colours: Any, alpha: Any, colour: list[float], opacity: float, full: float) -> tuple[Any, Any]:
    """Colours and alpha of *colour* composited over a partly transparent picture (Porter and Duff's "over")."""
    below = alpha / full * (1 - opacity)
    covered = below + opacity
    colours = (colours * below + [channel * full / 255 * opacity for channel in colour]) / covered
    return colours, covered * full
