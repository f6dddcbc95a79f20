"""Smaller and larger: while loading where the format can, then by resampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imgforge.errors import NotAnImage
from imgforge.model import Size
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.codecs.load import Original, jpeg_shrink
from imgforge.processing.libvips import reader
from imgforge.processing.plan import Plan
from imgforge.processing.rounding import half_away, half_even
from imgforge.processing.settings import ProcessingSettings
from imgforge.processing.state import State

__all__ = ["resized", "scale", "scale_on_load", "shrink_on_load"]


def scale_on_load(state: State) -> None:
    """Decode fewer pixels: JPEG by 2, 4 or 8, WebP and vectors at any scale, HEIF from its thumbnail."""
    original, plan = state.original, state.plan
    if original is None:
        return
    image = _shrunk(original, _shrink(plan), state)
    if image is None:
        return
    state.image = state.cancellation.watch(image)
    width, height = (image.height, image.width) if plan.swapped else (image.width, image.height)
    _adjust(state, plan.source.width / width, plan.source.height / height, Size(width, height))


def shrink_on_load(original: Original, plan: Plan, settings: ProcessingSettings) -> float:
    """How many times fewer pixels a side are decoded, but for thumbnails; below 1 for a vector that is enlarged."""
    shrink = _shrink(plan)
    if FORMATS[original.format].vector:
        return shrink
    if shrink <= 1 or settings.disable_shrink_on_load:
        return 1
    return {"jpeg": jpeg_shrink(shrink), "webp": shrink}.get(original.format, 1)


def _shrink(plan: Plan) -> float:
    # From the sizes rather than the scales: with one side given the other's rounding must not shrink too far.
    return min(
        plan.source.width / half_away(plan.source.width * plan.scale_x),
        plan.source.height / half_away(plan.source.height * plan.scale_y),
    )


def _shrunk(original: Original, shrink: float, state: State) -> Any | None:
    if FORMATS[original.format].vector:
        return original.load(scale=1 / shrink) if shrink != 1 or original.apart else None
    if shrink <= 1 or state.settings.disable_shrink_on_load:
        return None
    if original.format == "jpeg":
        factor = jpeg_shrink(shrink)
        return original.load(shrink=factor) if factor > 1 else None
    if original.format == "webp":
        return original.load(scale=1 / shrink)
    if FORMATS[original.format].thumbnail and reader(original.format) is None:  # extras have decoded it all by now
        return _thumbnail(original, shrink)
    return None


def _thumbnail(original: Original, shrink: float) -> Any | None:
    """The embedded thumbnail, if there is one that is large enough."""
    try:
        image = original.load(thumbnail=True)
    except NotAnImage:
        return None
    factors = original.width / image.width, original.height / image.height
    return image if min(factors) > 1 and max(factors) <= shrink else None


def _adjust(state: State, shrink_x: float, shrink_y: float, loaded: Size) -> None:
    """What is left to do after the image came *shrink_x* by *shrink_y* times smaller."""
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
    if gravity.type != "fp":  # focus points are fractions always; others where they are below one
        x = float(half_even(gravity.x / shrink_x)) if abs(gravity.x) >= 1 else gravity.x
        y = float(half_even(gravity.y / shrink_y)) if abs(gravity.y) >= 1 else gravity.y
        state.crop_gravity = replace(gravity, x=x, y=y)
    state.plan = replace(plan, scale_x=scale_x, scale_y=scale_y, crop=crop)


def scale(state: State) -> None:
    """Resample to the planned size, in linear light where the operator asks for it."""
    plan: Plan = state.plan
    if plan.scale_x == 1 and plan.scale_y == 1:
        return
    x, y = (plan.scale_y, plan.scale_x) if plan.swapped else (plan.scale_x, plan.scale_y)
    kernel = state.options.resizing_algorithm  # by libvips' own name
    if not state.settings.use_linear_colorspace:
        state.image = resized(state.image, x, y, kernel)
        return
    before = state.image.interpretation
    state.image = resized(state.image.colourspace("scrgb"), x, y, kernel).colourspace(before)


def resized(image: Any, x: float, y: float, kernel: str = "lanczos3") -> Any:
    """*image* scaled by *x* and *y*.

    Alpha is premultiplied, so that invisible colours do not bleed, and the result cast back to whole numbers before
    it is resampled: on bytes that takes half the time that it takes on floats.
    """
    if not image.hasalpha():
        return image.resize(x, vscale=y, kernel=kernel)
    band_format = image.format
    small = image.premultiply().cast(band_format).resize(x, vscale=y, kernel=kernel)
    return small.unpremultiply().cast(band_format)
