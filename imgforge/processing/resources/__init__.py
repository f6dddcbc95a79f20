"""The memory budget of pixels, and the cancellation of libvips work."""

from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.resources.pixel_budget import PixelBudget

__all__ = ["Cancellation", "PixelBudget"]
