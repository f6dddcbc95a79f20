"""Blurs of a part: of areas of the source, and one that grows across the picture; and the unsharp mask."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyvips

from imgforge.processing.gravity import box_turned_back
from imgforge.processing.settings import merged
from imgforge.processing.stages.colour_space import standard_rgb
from imgforge.processing.stages.filters import WIDEST_SIGMA
from imgforge.processing.stages.overlays import clamped, ramp
from imgforge.processing.state import State

__all__ = ["blur_areas", "progressive_blur", "unsharp_mask"]

# The progressive blur fades from each of these parts of its sigma to the next.
_STEPS = (0.0, 0.125, 0.25, 0.5, 1.0)


def blur_areas(state: State) -> None:
    """Blur areas of the source before it is cropped and scaled; the sigma is in pixels of the result."""
    wanted, plan = state.options.blur_areas, state.plan
    if not wanted.sigma or not wanted.areas:
        return
    state.to_memory()
    image = state.image
    sigma = min(wanted.sigma / min(plan.scale_x, plan.scale_y), WIDEST_SIGMA)
    blurred = _gaussian(image, sigma)
    for left, top, width, height in wanted.areas:
        area = left, top, min(width, 1 - left), min(height, 1 - top)  # what lies inside of the picture
        left, top, width, height = box_turned_back(area, (1.0, 1.0), plan.angle, plan.flip, False)
        x, y = min(round(left * image.width), image.width - 1), min(round(top * image.height), image.height - 1)
        part = max(1, round(width * image.width)), max(1, round(height * image.height))
        part = min(part[0], image.width - x), min(part[1], image.height - y)
        image = image.insert(blurred.crop(x, y, *part), x, y)
    state.image = image
    state.to_memory()


def progressive_blur(state: State) -> None:
    """From sharp to blurred along a direction, by fading through ever stronger blurs."""
    wanted = state.options.progressive_blur
    if not wanted.sigma:
        return
    state.to_memory()
    image = state.image
    share = ramp(image.width, image.height, wanted.direction, wanted.start, wanted.stop)
    made = image
    for weaker, stronger in pairwise(_STEPS):
        fade = clamped((share - weaker) / (stronger - weaker), 0, 1)
        blurred = _gaussian(image, min(wanted.sigma * stronger, WIDEST_SIGMA))
        made = made * (1 - fade) + blurred * fade
    state.image = made.rint().cast(image.format).copy(interpretation=image.interpretation)
    state.to_memory()


def _gaussian(image: Any, sigma: float) -> Any:
    if not image.hasalpha():
        return image.gaussblur(sigma)
    return image.premultiply().cast(image.format).gaussblur(sigma).unpremultiply().cast(image.format)


def unsharp_mask(state: State) -> None:
    """A 3x3 kernel whose neighbours weigh -weight and whose sum is *divider*: the greater that, the weaker it is."""
    wanted = merged(state.settings.unsharp_masking, state.options.unsharp_masking)
    plan = state.plan
    smaller = plan.scaled.width < plan.source.width or plan.scaled.height < plan.source.height
    if wanted.mode == "none" or (wanted.mode == "auto" and (state.options.sharpen or not smaller)):
        return
    image = standard_rgb(state, state.image)
    around, centre = -wanted.weight, wanted.divider + 8 * wanted.weight
    rows = [[around, around, around], [around, centre, around], [around, around, around]]
    kernel = pyvips.Image.new_from_array(rows, scale=wanted.divider)
    if image.hasalpha():
        sharp = image.premultiply().conv(kernel, precision="float").unpremultiply()
    else:
        sharp = image.conv(kernel, precision="float")
    state.image = sharp.rint().cast(image.format).copy(interpretation=image.interpretation)
