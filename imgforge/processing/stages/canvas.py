"""The canvas: turned, grown, padded, and laid on a background."""

from __future__ import annotations

from typing import Any

from imgforge.model import Gravity, Size
from imgforge.processing.gravity import position
from imgforge.processing.metadata.strip import ORIENTATION
from imgforge.processing.rounding import half_even
from imgforge.processing.stages.colour_space import interpretation, standard_rgb
from imgforge.processing.state import State

__all__ = ["extend", "extend_aspect_ratio", "flatten", "flattened", "pad", "turn"]

_TURNS = {90: "d90", 180: "d180", 270: "d270"}
_WHITE = (255, 255, 255)


def turn(state: State) -> None:
    """EXIF rotation, EXIF flip, the user's rotation, the user's flips, in this order."""
    if not state.turns:
        return
    options, angle, flip = state.options, state.plan.angle, state.plan.flip
    state.to_memory()  # turning reads pixels in another order than a decoder delivers them
    image = state.image
    if angle:
        image = image.rot(_TURNS[angle])
    if flip:
        image = image.fliphor()
    if options.rotate:
        image = image.rot(_TURNS[options.rotate])
    if options.flip_horizontal:
        image = image.fliphor()
    if options.flip_vertical:
        image = image.flipver()
    state.image = image.copy()
    for name in ORIENTATION:  # of the image as it was
        state.image.remove(name)


def extend(state: State) -> None:
    """Grow the canvas to the size that was asked for."""
    wanted = state.options.extend
    if wanted.enabled:
        _grow(state, state.plan.target, wanted.gravity)


def extend_aspect_ratio(state: State) -> None:
    """Grow the canvas to the aspect ratio that was asked for."""
    wanted, size = state.options.extend_aspect_ratio, state.plan.extended
    if wanted.enabled and size.width and size.height:
        _grow(state, size, wanted.gravity)


def _grow(state: State, size: Size, gravity: Gravity) -> None:
    image = state.image
    if size.width <= image.width and size.height <= image.height:
        return
    outer = max(size.width, image.width), max(size.height, image.height)
    left, top = position(outer, (image.width, image.height), gravity, state.plan.dpr)
    state.image = _embedded(image, left, top, *outer)


def pad(state: State) -> None:
    """Add space around the image."""
    around, image = state.options.padding, state.image
    if around is None:
        return
    dpr = state.plan.dpr
    top, left = half_even(around.top * dpr), half_even(around.left * dpr)
    width = image.width + left + half_even(around.right * dpr)
    height = image.height + top + half_even(around.bottom * dpr)
    state.image = _embedded(image, left, top, width, height)


def _embedded(image: Any, left: int, top: int, width: int, height: int) -> Any:
    """*image* on a larger, transparent canvas; as it is where nothing is added."""
    if (width, height) == (image.width, image.height):
        return image
    if not image.hasalpha():
        image = image.addalpha()
    return image.embed(left, top, width, height, extend="black")


def flatten(state: State) -> None:
    """Lay the image on the background where one is asked for or the format has no alpha; white by default."""
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
    """*image* without alpha; grey ones become coloured where the background is."""
    if not image.hasalpha():
        return image
    red, green, blue = background
    if not red == green == blue:
        image = standard_rgb(state, image)
    kind = interpretation(image)
    factor = 257 if kind in {"rgb16", "grey16"} else 1
    channels = [red] if kind in {"b-w", "grey16"} else [red, green, blue]
    return image.flatten(background=[channel * factor for channel in channels])
