"""Cutting: the crop before scaling, the crop to the result after it, and the trimming of borders."""

from __future__ import annotations

from imgforge.model import Gravity
from imgforge.processing.gravity import box_turned_back, position, turned_back
from imgforge.processing.rounding import min_nonzero
from imgforge.processing.stages.canvas import flattened
from imgforge.processing.stages.colour_space import interpretation, to_processing_colours
from imgforge.processing.state import State

__all__ = ["crop", "crop_to_result", "cut_before_turning", "trim"]

# Transparent pixels count as this when borders are looked for.
_MAGENTA = (255, 0, 255)
# Specks are removed before borders are looked for, by a filter that takes this many pixels a side.
_DESPECKLED = 3


def crop(state: State) -> None:
    """Take the asked-for part. Pixels are not turned yet, so the part's size and gravity are turned back instead."""
    plan, options = state.plan, state.options
    gravity = turned_back(state.crop_gravity, options.rotate, options.flip_horizontal, options.flip_vertical)
    gravity = turned_back(gravity, plan.angle, plan.flip, False)
    width, height = plan.crop.width, plan.crop.height
    if plan.swapped:
        width, height = height, width
    _cut(state, width, height, gravity, 1.0)


def cut_before_turning(state: State) -> None:
    """Cut what `crop_to_result` would cut, so that only what stays is decoded into memory to be turned.

    A minimal size may make the rest a thousand times larger. Smartcrop alone has to see the turned whole.
    """
    plan, options, image = state.plan, state.options, state.image
    if not state.turns or options.gravity.type == "sm":
        return
    outer = (image.height, image.width) if plan.swapped else (image.width, image.height)
    inner = min(outer[0], plan.result_crop.width or outer[0]), min(outer[1], plan.result_crop.height or outer[1])
    if inner == outer:
        return
    box = *position(outer, inner, options.gravity, plan.dpr), *inner
    box = box_turned_back(box, outer, options.rotate, options.flip_horizontal, options.flip_vertical)
    if options.rotate % 180:
        outer = outer[1], outer[0]
    state.image = image.crop(*box_turned_back(box, outer, plan.angle, plan.flip, False))


def crop_to_result(state: State) -> None:
    """Cut what projects beyond the size that was asked for."""
    box = state.plan.result_crop
    _cut(state, box.width, box.height, state.options.gravity, state.plan.dpr)


def _cut(state: State, width: int, height: int, gravity: Gravity, scale: float) -> None:
    image = state.image
    width, height = min_nonzero(width, image.width), min_nonzero(height, image.height)
    if width >= image.width and height >= image.height:
        return
    width, height = min(width, image.width), min(height, image.height)
    if gravity.type == "sm":
        state.to_memory()
        state.image = state.image.smartcrop(width, height)
        return
    left, top = position((image.width, image.height), (width, height), gravity, scale)
    state.image = image.crop(left, top, width, height)


def trim(state: State) -> None:
    """Remove a border of one colour; the sizes are planned anew for what is left."""
    wanted = state.options.trim
    if wanted is None:
        return
    if state.original is not None and state.original.apart:
        state.image = state.original.load()
    to_processing_colours(state)
    state.to_memory()
    image = state.image
    probe = image if interpretation(image) == "srgb" else image.colourspace("srgb")
    if probe.hasalpha():
        probe = flattened(state, probe, _MAGENTA)
    colour = wanted.color
    background = probe(0, 0) if colour is None else [colour.red, colour.green, colour.blue]
    left, top, width, height = probe.find_trim(
        background=background,
        threshold=wanted.threshold,
        line_art=min(probe.width, probe.height) < _DESPECKLED,
    )
    if wanted.equal_horizontal:
        left, width = _equal(left, width, image.width)
    if wanted.equal_vertical:
        top, height = _equal(top, height, image.height)
    if width and height:
        state.image = image.crop(left, top, width, height)
    state.original = None
    state.replan(state.image.width, state.image.height)


def _equal(start: int, length: int, full: int) -> tuple[int, int]:
    """The same margin on both sides: the smaller of the two."""
    margin = min(start, full - start - length)
    return margin, full - 2 * margin
