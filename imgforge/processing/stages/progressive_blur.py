"""A blur that grows across the picture."""

from __future__ import annotations

from itertools import pairwise

from imgforge.processing.stages.blending import clamped, ramp
from imgforge.processing.stages.filters import WIDEST_SIGMA, gaussian
from imgforge.processing.state import State

__all__ = ["progressive_blur"]

# The blur fades from each of these parts of its sigma to the next.
_STEPS = (0.0, 0.125, 0.25, 0.5, 1.0)


def progressive_blur(state: State) -> None:
    """Fade from sharp to blurred along a direction, through ever stronger blurs."""
    wanted = state.options.progressive_blur
    if not wanted.sigma:
        return
    state.to_memory()
    image = state.image
    share = ramp(image.width, image.height, wanted.direction, wanted.start, wanted.stop)
    result = image
    for weaker, stronger in pairwise(_STEPS):
        fade = clamped((share - weaker) / (stronger - weaker), 0, 1)
        blurred = gaussian(image, min(wanted.sigma * stronger, WIDEST_SIGMA))
        result = result * (1 - fade) + blurred * fade
    state.image = result.rint().cast(image.format).copy(interpretation=image.interpretation)
    state.to_memory()
