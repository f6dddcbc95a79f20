"""How imgproxy turns fractions into pixels: sizes round half away from zero, places and paddings half to even."""

from __future__ import annotations

import math

__all__ = ["half_away", "half_even", "min_nonzero"]


def half_away(value: float) -> int:
    """*value* rounded, halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def half_even(value: float) -> int:
    """*value* rounded, halves to the even neighbour."""
    return round(value)


def min_nonzero(a: int, b: int) -> int:
    """The smaller of two sizes of which 0 means "not asked for"."""
    return min(a, b) if a and b else a or b
