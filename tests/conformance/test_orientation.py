"""The EXIF orientations, with all options that count in the rotated image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from imgforge.model import Crop, Gravity, ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from tests.support.images import decoded, oriented
from tests.support.pairwise import combined
from tests.support.rendition_case import Case, check, parameters

ORIENTATIONS = range(1, 9)
# Centred on an axis only where the difference is a multiple of four: else the middle is not the same from both ends.
GRAVITIES = (
    Gravity("no", 4, 2),
    Gravity("ea", 3, -4),
    Gravity("sowe", 5, 0.125),
    Gravity("noea"),
    Gravity("ce"),
    Gravity("ce", 6, -3),
)


PLACES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")
EVERY_GRAVITY = (
    *(Gravity(place) for place in PLACES),
    *(Gravity(place, 4, 2) for place in PLACES),
    *(Gravity(place, -0.125, 0.125) for place in PLACES),
    Gravity("fp", 0.25, 0.75),
    Gravity("fp", 0.0, 0.5),
    Gravity("fp", 0.5, 1.0),
)


def rotations() -> Iterator[Case]:
    for orientation, rotate, stored in combined(ORIENTATIONS, (0, 90, 180, 270), ("PNG", "JPEG")):
        yield Case(f"{stored} {orientation} rotated {rotate}", {"rotate": rotate}, (96, 64), orientation, stored)


def crops() -> Iterator[Case]:
    for orientation, gravity, rotate in combined(ORIENTATIONS, GRAVITIES, (0, 90)):
        options = {"crop": Crop(24, 16, gravity), "rotate": rotate}
        name = f"{orientation} rotated {rotate} cropped by {gravity.type} {gravity.x} {gravity.y}"
        yield Case(name, options, (96, 64), orientation)


def every_crop() -> Iterator[Case]:
    """All orientations with all gravities, of a crop in pixels, a crop in fractions and a fill."""
    uses = ("cropped in pixels", "cropped in fractions", "filled")
    for orientation, gravity, use in combined(ORIENTATIONS, EVERY_GRAVITY, uses):
        options: dict[str, dict[str, Any]] = {
            "cropped in pixels": {"crop": Crop(24, 16, gravity)},
            "cropped in fractions": {"crop": Crop(0.25, 0.5, gravity)},
            "filled": {"resizing_type": "fill", "width": 48, "height": 48, "gravity": gravity},
        }
        name = f"{orientation} {use} by {gravity.type} {gravity.x} {gravity.y}"
        yield Case(name, options[use], (96, 64), orientation)


def fills() -> Iterator[Case]:
    for orientation, flipped, kind in combined(ORIENTATIONS, (False, True), ("no", "soea")):
        options = {
            "resizing_type": "fill",
            "width": 30,
            "height": 30,
            "gravity": Gravity(kind),
            "flip_horizontal": flipped,
            "flip_vertical": orientation % 2 == 0,
        }
        yield Case(f"{orientation} flipped {flipped} filled by {kind}", options, (96, 64), orientation)


def ignored() -> Iterator[Case]:
    for orientation in ORIENTATIONS:
        options = {"auto_rotate": False, "width": 50, "crop": Crop(60, 0.5, Gravity("nowe"))}
        yield Case(f"{orientation} ignored", options, (96, 64), orientation)


@parameters(rotations())
def test_rotation_by_exif_and_by_the_url(case: Case) -> None:
    check(case)


@parameters(crops())
def test_crop_applies_to_the_rotated_image(case: Case) -> None:
    check(case)


@parameters(every_crop())
def test_every_gravity_applies_to_the_rotated_image(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_smart_gravity_finds_the_same_patch_in_every_orientation(orientation: int, rotate: int) -> None:
    """Most of a red patch on grey must be in the crop, whose exact place is up to libvips."""
    pixels = np.full((64, 96, 3), 120, np.uint8)
    pixels[10:22, 70:82] = (250, 20, 20)
    source = oriented(pixels, orientation)
    for options in (
        {"crop": Crop(32, 32, Gravity("sm"))},
        {"resizing_type": "fill", "width": 64, "height": 40, "gravity": Gravity("sm")},
    ):
        made = process(source, ProcessingOptions(format="png", rotate=rotate, **options), ProcessingSettings())
        got = decoded(made.body, "RGB").astype(int)
        scale = 1.0 if "crop" in options else made.width * made.height / (64 * 40) * _scale(orientation, rotate)
        red = ((got[:, :, 0] > 200) & (got[:, :, 1] < 70)).sum()
        assert red >= 0.7 * 144 * scale


def _scale(orientation: int, rotate: int) -> float:
    """The factor by which an area of the 96 x 64 picture shrinks when the picture fills 64 x 40."""
    upright = (orientation >= 5) == (rotate in (90, 270))
    shrink = min(96 / 64, 64 / 40) if upright else min(64 / 64, 96 / 40)
    return 1 / shrink**2


@parameters(fills())
def test_fill_applies_to_the_rotated_image(case: Case) -> None:
    check(case)


@parameters(ignored())
def test_orientation_is_ignored_without_auto_rotate(case: Case) -> None:
    check(case)
