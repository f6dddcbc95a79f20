"""The blur of areas of the source."""

from __future__ import annotations

from imgforge.processing.gravity import box_before_rotation
from imgforge.processing.stages.filters import WIDEST_SIGMA, gaussian
from imgforge.processing.state import State

__all__ = ["blur_areas"]


def blur_areas(state: State) -> None:
    """Blur areas of the source before it is cropped and scaled; the sigma is in pixels of the result."""
    wanted, plan = state.options.blur_areas, state.plan
    if not wanted.sigma or not wanted.areas:
        return
    state.to_memory()
    image = state.image
    sigma = min(wanted.sigma / min(plan.scale_x, plan.scale_y), WIDEST_SIGMA)
    blurred = gaussian(image, sigma)
    for left, top, width, height in wanted.areas:
        area = left, top, min(width, 1 - left), min(height, 1 - top)  # the part inside the picture
        left, top, width, height = box_before_rotation(area, (1.0, 1.0), plan.angle, plan.flip, False)
        x, y = min(round(left * image.width), image.width - 1), min(round(top * image.height), image.height - 1)
        size = max(1, round(width * image.width)), max(1, round(height * image.height))
        size = min(size[0], image.width - x), min(size[1], image.height - y)
        image = image.insert(blurred.crop(x, y, *size), x, y)
    state.image = image
    state.to_memory()
