"""Padding around the image."""

from __future__ import annotations

from imgforge.processing.rounding import half_even
from imgforge.processing.stages.extend import embedded
from imgforge.processing.state import State

__all__ = ["pad"]


def pad(state: State) -> None:
    """Add transparent space on each side: the padding times dpr, halves rounded to even."""
    padding, image = state.options.padding, state.image
    if padding is None:
        return
    dpr = state.plan.dpr
    top, left = half_even(padding.top * dpr), half_even(padding.left * dpr)
    width = image.width + left + half_even(padding.right * dpr)
    height = image.height + top + half_even(padding.bottom * dpr)
    state.image = embedded(image, left, top, width, height)
