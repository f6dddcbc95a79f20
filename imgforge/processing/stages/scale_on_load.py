"""Shrink-on-load: decoding fewer pixels where the format can."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imgforge.errors import NotAnImage
from imgforge.model import Size
from imgforge.processing.codecs import FORMATS, Original, jpeg_shrink, reader
from imgforge.processing.plan import Plan
from imgforge.processing.rounding import half_away, half_even
from imgforge.processing.settings import ProcessingSettings
from imgforge.processing.state import State

__all__ = ["scale_on_load", "shrink_on_load"]


def scale_on_load(state: State) -> None:
    """Decode fewer pixels: JPEG by 2, 4 or 8, WebP and vectors at any scale, HEIF from its thumbnail."""
    original, plan = state.original, state.plan
    if original is None:
        return
    image = _loaded(original, _shrink(plan), state)
    if image is None:
        return
    state.image = state.cancellation.watch(image)
    width, height = (image.height, image.width) if plan.swapped else (image.width, image.height)
    _replan(state, plan.source.width / width, plan.source.height / height, Size(width, height))


def shrink_on_load(original: Original, plan: Plan, settings: ProcessingSettings) -> float:
    """The factor by which each side is decoded smaller, embedded thumbnails aside; below 1 for an enlarged vector."""
    shrink = _shrink(plan)
    if FORMATS[original.format].vector:
        return shrink
    if shrink <= 1 or settings.disable_shrink_on_load:
        return 1
    return {"jpeg": jpeg_shrink(shrink), "webp": shrink}.get(original.format, 1)


def _shrink(plan: Plan) -> float:
    # From the sizes rather than the scales: the rounding of a side that follows from the other must not shrink too far.
    return min(
        plan.source.width / half_away(plan.source.width * plan.scale_x),
        plan.source.height / half_away(plan.source.height * plan.scale_y),
    )


def _loaded(original: Original, shrink: float, state: State) -> Any | None:
    """*original* decoded up to *shrink* times smaller; None where the image that is open already will do."""
    if FORMATS[original.format].vector:
        return original.load(scale=1 / shrink) if shrink != 1 or original.isolated else None
    if shrink <= 1 or state.settings.disable_shrink_on_load:
        return None
    if original.format == "jpeg":
        factor = jpeg_shrink(shrink)
        return original.load(shrink=factor) if factor > 1 else None
    if original.format == "webp":
        return original.load(scale=1 / shrink)
    if (
        FORMATS[original.format].thumbnail and reader(original.format) is None
    ):  # optional codecs have decoded all by now
        return _thumbnail(original, shrink)
    return None


def _thumbnail(original: Original, shrink: float) -> Any | None:
    """The embedded thumbnail; None where there is none that is large enough."""
    try:
        image = original.load(thumbnail=True)
    except NotAnImage:
        return None
    factors = original.width / image.width, original.height / image.height
    return image if min(factors) > 1 and max(factors) <= shrink else None


def _replan(state: State, shrink_x: float, shrink_y: float, loaded: Size) -> None:
    """Plan the rest of the way for an image that was *loaded* *shrink_x* by *shrink_y* times smaller."""
    plan = state.plan
    scale_x, scale_y = plan.scale_x * shrink_x, plan.scale_y * shrink_y
    if loaded.width == half_away(loaded.width * scale_x):
        scale_x = 1.0
    if loaded.height == half_away(loaded.height * scale_y):
        scale_y = 1.0
    crop = Size(
        max(1, half_away(plan.crop.width / shrink_x)) if plan.crop.width else 0,
        max(1, half_away(plan.crop.height / shrink_y)) if plan.crop.height else 0,
    )
    gravity = state.crop_gravity
    if gravity.type != "fp":  # focus points are always fractions; offsets are fractions below 1, and pixels from 1 on
        x = float(half_even(gravity.x / shrink_x)) if abs(gravity.x) >= 1 else gravity.x
        y = float(half_even(gravity.y / shrink_y)) if abs(gravity.y) >= 1 else gravity.y
        state.crop_gravity = replace(gravity, x=x, y=y)
    state.plan = replace(plan, scale_x=scale_x, scale_y=scale_y, crop=crop)
