"""Crops: to the requested area before scaling, and to the requested size after it."""

from __future__ import annotations

from imgforge.model import Gravity
from imgforge.processing.gravity import box_before_rotation, gravity_before_rotation, position
from imgforge.processing.rounding import min_nonzero
from imgforge.processing.state import State

__all__ = ["crop", "crop_before_rotation", "crop_to_result"]


def crop(state: State) -> None:
    """Crop to the requested area. Pixels are not rotated yet: the area's size and gravity are rotated back instead."""
    plan, options = state.plan, state.options
    gravity = gravity_before_rotation(
        state.crop_gravity, options.rotate, options.flip_horizontal, options.flip_vertical
    )
    gravity = gravity_before_rotation(gravity, plan.angle, plan.flip, False)
    width, height = plan.crop.width, plan.crop.height
    if plan.swapped:
        width, height = height, width
    _crop(state, width, height, gravity, 1.0)


def crop_before_rotation(state: State) -> None:
    """Crop what `crop_to_result` would crop, so that only the remaining pixels are decoded into memory for rotation.

    A minimum size may make the cropped part a thousand times larger than the rest. Only smartcrop needs to see the
    whole image rotated.
    """
    plan, options, image = state.plan, state.options, state.image
    if not state.rotates or options.gravity.type == "sm":
        return
    outer = (image.height, image.width) if plan.swapped else (image.width, image.height)
    inner = min(outer[0], plan.result_crop.width or outer[0]), min(outer[1], plan.result_crop.height or outer[1])
    if inner == outer:
        return
    box = *position(outer, inner, options.gravity, plan.dpr), *inner
    box = box_before_rotation(box, outer, options.rotate, options.flip_horizontal, options.flip_vertical)
    if options.rotate % 180:
        outer = outer[1], outer[0]
    state.image = image.crop(*box_before_rotation(box, outer, plan.angle, plan.flip, False))


def crop_to_result(state: State) -> None:
    """Crop what exceeds the requested size."""
    size = state.plan.result_crop
    _crop(state, size.width, size.height, state.options.gravity, state.plan.dpr)


def _crop(state: State, width: int, height: int, gravity: Gravity, dpr: float) -> None:
    """Crop to at most *width* by *height* pixels, 0 for a full side; *dpr* multiplies offsets in pixels."""
    image = state.image
    width, height = min_nonzero(width, image.width), min_nonzero(height, image.height)
    if width >= image.width and height >= image.height:
        return
    width, height = min(width, image.width), min(height, image.height)
    if gravity.type == "sm":
        state.to_memory()
        state.image = state.image.smartcrop(width, height)
        return
    left, top = position((image.width, image.height), (width, height), gravity, dpr)
    state.image = image.crop(left, top, width, height)
