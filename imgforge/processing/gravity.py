"""Where an inner box lies in an outer one, and what a gravity and a box are before the image is rotated."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from imgforge.model import Crop, Gravity
from imgforge.processing.rounding import half_even

__all__ = ["box_before_rotation", "crop_gravity", "gravity_before_rotation", "offset_in_pixels", "position"]

N = TypeVar("N", int, float)

# The gravities of each edge; a gravity without an edge on an axis is centred on it.
_TOP = frozenset({"no", "noea", "nowe"})
_BOTTOM = frozenset({"so", "soea", "sowe"})
_LEFT = frozenset({"we", "nowe", "sowe"})
_RIGHT = frozenset({"ea", "noea", "soea"})

# Edges and corners clockwise: rotating the image by 90 degrees moves each by two places.
_COMPASS = ("no", "noea", "ea", "soea", "so", "sowe", "we", "nowe")


def crop_gravity(crop: Crop | None, default: Gravity) -> Gravity:
    """The gravity of *crop*: its own, or the request's, which is the *default* of its type too."""
    if crop is None or crop.gravity is None:
        return default
    return crop.gravity if crop.gravity.type else replace(crop.gravity, type=default.type)


def offset_in_pixels(value: float, outer: int, dpr: float) -> int:
    """Pixels: an offset of at least 1 is multiplied by *dpr*, a smaller one is a fraction of *outer* (pixels)."""
    return half_even(value * dpr) if abs(value) >= 1 else half_even(outer * value)


def position(
    outer: tuple[int, int], inner: tuple[int, int], gravity: Gravity, dpr: float, *, overflow: bool = False
) -> tuple[int, int]:
    """Left and top, in pixels, of a box of the size *inner* in one of the size *outer* (width, height), clamped inside.

    *dpr* multiplies offsets in pixels; with *overflow* all but one pixel may lie outside. The rules and their rounding
    are imgproxy's (`calc_position.go`).
    """
    (width, height), (inner_width, inner_height) = outer, inner
    if gravity.type == "fp":
        left = half_even(width * gravity.x) - inner_width // 2
        top = half_even(height * gravity.y) - inner_height // 2
    else:
        x, y = offset_in_pixels(gravity.x, width, dpr), offset_in_pixels(gravity.y, height, dpr)
        left = _along(width, inner_width, x, first=gravity.type in _LEFT, last=gravity.type in _RIGHT)
        top = _along(height, inner_height, y, first=gravity.type in _TOP, last=gravity.type in _BOTTOM)
    if overflow:
        return max(1 - inner_width, min(left, width - 1)), max(1 - inner_height, min(top, height - 1))
    return max(0, min(left, width - inner_width)), max(0, min(top, height - inner_height))


def _along(outer: int, inner: int, offset: int, *, first: bool, last: bool) -> int:
    if first:
        return offset
    if last:
        return outer - inner - offset
    return half_even((outer - inner + 1) / 2) + offset


def gravity_before_rotation(gravity: Gravity, angle: int, flip_x: bool, flip_y: bool) -> Gravity:
    """The gravity that keeps, before "rotate by *angle* clockwise, then flip", what *gravity* keeps after it."""
    if flip_x:
        gravity = _flipped_x(gravity)
    if flip_y:
        gravity = _flipped_y(gravity)
    for _ in range(angle % 360 // 90):
        gravity = _before_quarter(gravity)
    return gravity


def box_before_rotation(
    box: tuple[N, N, N, N], outer: tuple[N, N], angle: int, flip_x: bool, flip_y: bool
) -> tuple[N, N, N, N]:
    """The place, before the same rotation and flips, of *box* (left, top, width, height) in an image of size *outer*.

    In pixels, or in fractions of an *outer* of (1, 1).
    """
    (left, top, width, height), (full_width, full_height) = box, outer
    if flip_x:
        left = full_width - left - width
    if flip_y:
        top = full_height - top - height
    for _ in range(angle % 360 // 90):
        left, top, width, height = top, full_width - left - width, height, width
        full_width, full_height = full_height, full_width
    return left, top, width, height


def _flipped_x(gravity: Gravity) -> Gravity:
    if gravity.type == "fp":
        return replace(gravity, x=1 - gravity.x)
    if gravity.type in _LEFT | _RIGHT:  # offsets from an edge count inwards on either side
        return replace(gravity, type=_COMPASS[-_COMPASS.index(gravity.type) % 8])
    return replace(gravity, x=-gravity.x)


def _flipped_y(gravity: Gravity) -> Gravity:
    if gravity.type == "fp":
        return replace(gravity, y=1 - gravity.y)
    if gravity.type in _TOP | _BOTTOM:
        return replace(gravity, type=_COMPASS[(4 - _COMPASS.index(gravity.type)) % 8])
    return replace(gravity, y=-gravity.y)


def _before_quarter(gravity: Gravity) -> Gravity:
    """Before a rotation by 90 degrees clockwise the top edge was the left one, and the right edge the top one."""
    if gravity.type == "fp":
        return Gravity("fp", gravity.y, 1 - gravity.x)
    if gravity.type == "sm":
        return gravity
    kind = gravity.type if gravity.type == "ce" else _COMPASS[(_COMPASS.index(gravity.type) - 2) % 8]
    # On an axis without an edge a positive offset points right or down, so that rotation may change its sign.
    if kind in {"ce", "ea", "we"}:
        return Gravity(kind, gravity.y, -gravity.x)
    return Gravity(kind, gravity.y, gravity.x)
