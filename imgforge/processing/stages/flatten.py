"""The background below transparent pixels."""

from __future__ import annotations

from typing import Any

from imgforge.processing.stages.colour_space import interpretation, standard_rgb
from imgforge.processing.state import State

__all__ = ["flatten", "flattened"]

_WHITE = (255, 255, 255)


def flatten(state: State) -> None:
    """Put the image on the requested background, or on white where the format has no alpha."""
    if not state.flattens:
        return
    colour = state.options.background
    background = _WHITE if colour is None else (colour.red, colour.green, colour.blue)
    if state.options.background_alpha < 1 and state.format.alpha:
        state.image = _on_translucent(state, background, state.options.background_alpha)
    else:
        state.image = flattened(state, state.image, background)


def _on_translucent(state: State, background: tuple[int, int, int], alpha: float) -> Any:
    """The image over a background that is itself partly transparent."""
    if not state.image.hasalpha():
        return state.image
    image = standard_rgb(state, state.image)
    factor = 257 if interpretation(image) == "rgb16" else 1
    colour = [float(channel * factor) for channel in (*background, round(255 * alpha))]
    below = (image.extract_band(0) * 0 + colour).cast(image.format).copy(interpretation=image.interpretation)
    return below.composite2(image, "over", compositing_space=image.interpretation).cast(image.format)


def flattened(state: State, image: Any, background: tuple[int, int, int]) -> Any:
    """*image* without alpha, on *background* (red, green, blue in 0..255); grey becomes RGB where the background is."""
    if not image.hasalpha():
        return image
    red, green, blue = background
    if not red == green == blue:
        image = standard_rgb(state, image)
    kind = interpretation(image)
    factor = 257 if kind in {"rgb16", "grey16"} else 1
    channels = [red] if kind in {"b-w", "grey16"} else [red, green, blue]
    return image.flatten(background=[channel * factor for channel in channels])
