"""The removal of a uniform border."""

from __future__ import annotations

from imgforge.processing.stages.colour_space import interpretation, to_processing_colours
from imgforge.processing.stages.flatten import flattened
from imgforge.processing.state import State

__all__ = ["trim"]

# Transparent pixels count as this colour while borders are looked for.
_MAGENTA = (255, 0, 255)
# Before it looks for borders, libvips removes specks with a median filter of this many pixels a side.
_MEDIAN_SIDE = 3


def trim(state: State) -> None:
    """Remove a border of one colour; the sizes are planned anew for what is left."""
    wanted = state.options.trim
    if wanted is None:
        return
    if state.original is not None and state.original.isolated:
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
        line_art=min(probe.width, probe.height) < _MEDIAN_SIDE,
    )
    if wanted.equal_horizontal:
        left, width = _equal_margins(left, width, image.width)
    if wanted.equal_vertical:
        top, height = _equal_margins(top, height, image.height)
    if width and height:
        state.image = image.crop(left, top, width, height)
    state.original = None
    state.replan(state.image.width, state.image.height)


def _equal_margins(start: int, length: int, full: int) -> tuple[int, int]:
    """The start and the length that leave the same margin on both sides: the smaller of the two."""
    margin = min(start, full - start - length)
    return margin, full - 2 * margin
