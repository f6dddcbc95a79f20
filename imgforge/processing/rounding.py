"""imgproxy's rounding to pixels: sizes round half away from zero, positions and paddings half to even."""

from __future__ import annotations

import math

__all__ = ["half_away", "half_even", "min_nonzero"]


def half_away(value: float) -> int:
    """*value* rounded, halves away from zero."""
    whole = math.floor(abs(value))
    rounded = whole + (abs(value) - whole >= 0.5)  # exact; adding a half to 0.49999999999999994 would make 1
    return rounded if value >= 0 else -rounded


def half_even(value: float) -> int:
    """*value* rounded, halves to the even neighbour."""
    return round(value)


def min_nonzero(a: int, b: int) -> int:
    """The smaller of two sizes, of which 0 means "not requested"."""
    return min(a, b) if a and b else a or b
