"""The sizes and positions of a rendition by the documented rules, in exact fractions.

Written from the rules rather than from the package, which it judges. The package works in floating point, so that a
value very close to a half may round either way: `Layout.ambiguous` is true then.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from imgforge.model import Gravity, ProcessingOptions

__all__ = ["Layout", "Pair", "layout", "place"]

Pair = tuple[int, int]  # width, height
Fractions = tuple[Fraction, Fraction]
_EPSILON = Fraction(1, 10**9)
_HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of a source on its way, in pixels of the rotated image: crop, scale, crop, extension and padding."""

    source: Pair
    cropped: Pair
    scaled: Pair
    target: Pair
    result_crop: Pair
    extended: Pair
    padding: tuple[int, int, int, int]  # top, right, bottom, left
    canvas: Pair
    dpr: Fraction
    ambiguous: bool


class _Rounding:
    """Rounds halves away from zero; `ambiguous` once it has met a half."""

    def __init__(self) -> None:
        self.ambiguous = False

    def __call__(self, value: Fraction) -> int:
        whole = value.numerator // value.denominator
        rest = value - whole
        self.ambiguous = self.ambiguous or abs(rest - _HALF) < _EPSILON
        return whole + (rest >= _HALF)  # all sizes are positive


def layout(width: int, height: int, options: ProcessingOptions, *, vector: bool = False) -> Layout:
    """The layout for a source of *width* x *height* pixels after rotation."""
    rounded = _Rounding()
    cropped = _cropped((width, height), options, rounded)
    (across, down), dpr = _shrinks(cropped, options, vector)
    # No side falls below one pixel.
    across, down = min(across / dpr, Fraction(cropped[0])), min(down / dpr, Fraction(cropped[1]))
    scaled = rounded(cropped[0] / across), rounded(cropped[1] / down)
    zoom = Fraction(options.zoom_x), Fraction(options.zoom_y)
    target = rounded(options.width * dpr * zoom[0]), rounded(options.height * dpr * zoom[1])
    box = _fitted_box(scaled, target, options, rounded)
    result_crop = _least(scaled[0], box[0]), _least(scaled[1], box[1])
    extended = _extended(result_crop, target, options, rounded)
    padding = _padding(options, dpr)
    canvas = extended[0] + padding[1] + padding[3], extended[1] + padding[0] + padding[2]
    return Layout(
        (width, height), cropped, scaled, target, result_crop, extended, padding, canvas, dpr, rounded.ambiguous
    )


def place(outer: Pair, inner: Pair, gravity: Gravity, dpr: Fraction = Fraction(1), *, inside: bool = True) -> Pair:
    """Left and top of *inner* in *outer*."""
    if gravity.type == "fp":
        left = round(Fraction(gravity.x) * outer[0]) - inner[0] // 2
        top = round(Fraction(gravity.y) * outer[1]) - inner[1] // 2
    else:
        name = gravity.type
        left = _offset_on_axis(outer[0], inner[0], gravity.x, dpr, "we" in name, "ea" in name)
        top = _offset_on_axis(outer[1], inner[1], gravity.y, dpr, "no" in name, "so" in name)
    if not inside:
        return left, top
    return max(0, min(left, outer[0] - inner[0])), max(0, min(top, outer[1] - inner[1]))


def _offset_on_axis(outer: int, inner: int, offset: float, dpr: Fraction, first: bool, last: bool) -> int:
    exact = Fraction(offset)
    moved = round(exact * (dpr if abs(exact) >= 1 else outer))
    if first:
        return moved
    if last:
        return outer - inner - moved
    return round(Fraction(outer - inner + 1, 2)) + moved


def _least(a: int, b: int) -> int:
    return min(a, b) if b else a


def _cropped(full: Pair, options: ProcessingOptions, rounded: _Rounding) -> Pair:
    crop = options.crop
    if crop is None:
        return full
    sides = []
    for whole, side in zip(full, (crop.width, crop.height), strict=True):
        if side == 0:
            sides.append(whole)
        elif side < 1:
            sides.append(max(1, rounded(Fraction(side) * whole)))
        else:
            sides.append(min(whole, int(side)))
    return sides[0], sides[1]


def _shrinks(source: Pair, options: ProcessingOptions, vector: bool) -> tuple[Fractions, Fraction]:
    """Source over target for each axis before dpr, and the dpr that the source allows."""
    across, down = _type_shrinks(source, options)
    across, down = across / Fraction(options.zoom_x), down / Fraction(options.zoom_y)
    dpr = Fraction(options.dpr)
    if not (options.enlarge or vector):
        smaller = min(across, down)
        if smaller < 1:
            across, down = across / smaller, down / smaller
            dpr = dpr if options.extend.enabled else dpr / smaller
        dpr = min(dpr, across, down)
    for axis, least in enumerate((options.min_width, options.min_height)):
        current = (across, down)[axis]
        if least and Fraction(source[axis], least) < current:
            factor = Fraction(source[axis], least) / current
            across, down = across * factor, down * factor
    return (across, down), dpr


def _type_shrinks(source: Pair, options: ProcessingOptions) -> Fractions:
    wanted = options.width or source[0], options.height or source[1]
    across, down = Fraction(source[0], wanted[0]), Fraction(source[1], wanted[1])
    kind = options.resizing_type
    if kind == "force":
        return across, down
    if not options.width and not options.height:
        return Fraction(1), Fraction(1)
    if not options.width:
        return down, down
    if not options.height:
        return across, across
    if kind == "auto":
        kind = "fill" if (source[0] >= source[1]) == (wanted[0] >= wanted[1]) else "fit"
    chosen = max(across, down) if kind == "fit" else min(across, down)
    return chosen, chosen


def _fitted_box(scaled: Pair, target: Pair, options: ProcessingOptions, rounded: _Rounding) -> Pair:
    """The size of the result crop: the target, or with fill-down the largest size of its shape within the picture."""
    if options.resizing_type != "fill-down" or options.enlarge:
        return target
    over = Fraction(target[0], scaled[0]), Fraction(target[1], scaled[1])
    if over[0] > over[1] and over[0] > 1:
        return scaled[0], rounded(Fraction(scaled[0] * target[1], target[0]))
    if over[1] > over[0] and over[1] > 1:
        return rounded(Fraction(scaled[1] * target[0], target[1])), scaled[1]
    return target


def _extended(size: Pair, target: Pair, options: ProcessingOptions, rounded: _Rounding) -> Pair:
    out = size
    if options.extend.enabled:
        out = max(out[0], target[0]), max(out[1], target[1])
    if options.extend_aspect_ratio.enabled and all(target):
        over = Fraction(target[0], size[0]), Fraction(target[1], size[1])
        if over[1] > over[0]:
            out = max(out[0], size[0]), max(out[1], rounded(Fraction(size[0] * target[1], target[0])))
        elif over[0] > over[1]:
            out = max(out[0], rounded(Fraction(size[1] * target[0], target[1]))), max(out[1], size[1])
    return out


def _padding(options: ProcessingOptions, dpr: Fraction) -> tuple[int, int, int, int]:
    around = options.padding
    if around is None:
        return 0, 0, 0, 0
    top, right, bottom, left = (round(side * dpr) for side in (around.top, around.right, around.bottom, around.left))
    return top, right, bottom, left
