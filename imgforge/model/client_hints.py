"""Client hints: the width and the pixel density of a client's screen."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NO_HINTS", "Hints"]


class Hints(NamedTuple):
    """Values for options that a URL leaves unset: `width` in pixels, `dpr` a factor; 0 for no hint."""

    width: int = 0
    dpr: float = 0.0


NO_HINTS = Hints()
