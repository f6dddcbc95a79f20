"""A larger canvas: to the requested size or to its aspect ratio."""

from __future__ import annotations

from typing import Any

from imgforge.model import Gravity, Size
from imgforge.processing.gravity import position
from imgforge.processing.state import State

__all__ = ["embedded", "extend", "extend_aspect_ratio"]


def extend(state: State) -> None:
    """Extend the canvas to the requested size."""
    wanted = state.options.extend
    if wanted.enabled:
        _extend(state, state.plan.target, wanted.gravity)


def extend_aspect_ratio(state: State) -> None:
    """Extend the canvas to the aspect ratio of the requested size."""
    wanted, size = state.options.extend_aspect_ratio, state.plan.extended
    if wanted.enabled and size.width and size.height:
        _extend(state, size, wanted.gravity)


def _extend(state: State, size: Size, gravity: Gravity) -> None:
    image = state.image
    if size.width <= image.width and size.height <= image.height:
        return
    outer = max(size.width, image.width), max(size.height, image.height)
    left, top = position(outer, (image.width, image.height), gravity, state.plan.dpr)
    state.image = embedded(image, left, top, *outer)


def embedded(image: Any, left: int, top: int, width: int, height: int) -> Any:
    """*image* on a transparent canvas of *width* by *height* pixels; *image* itself where nothing is added."""
    if (width, height) == (image.width, image.height):
        return image
    if not image.hasalpha():
        image = image.addalpha()
    return image.embed(left, top, width, height, extend="black")
