"""Rotation and flips, by EXIF and by the options."""

from __future__ import annotations

from imgforge.processing.stages.strip_metadata import ORIENTATION_FIELDS
from imgforge.processing.state import State

__all__ = ["rotate"]

_ROTATIONS = {90: "d90", 180: "d180", 270: "d270"}


def rotate(state: State) -> None:
    """Apply EXIF's rotation, EXIF's flip, the options' rotation and the options' flips, in this order."""
    if not state.rotates:
        return
    options, angle, flip = state.options, state.plan.angle, state.plan.flip
    state.to_memory()  # rotation reads pixels in another order than a decoder delivers them
    image = state.image
    if angle:
        image = image.rot(_ROTATIONS[angle])
    if flip:
        image = image.fliphor()
    if options.rotate:
        image = image.rot(_ROTATIONS[options.rotate])
    if options.flip_horizontal:
        image = image.fliphor()
    if options.flip_vertical:
        image = image.flipver()
    state.image = image.copy()
    for name in ORIENTATION_FIELDS:  # it described the image before rotation
        state.image.remove(name)
