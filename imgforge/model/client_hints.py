"""What a client says of its screen, as far as it is obeyed."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NO_HINTS", "Hints"]


class Hints(NamedTuple):
    """Options that stand in for what a URL leaves open; 0 for nothing."""

    width: int = 0
    dpr: float = 0.0


NO_HINTS = Hints()
