"""The EXIF orientations, with everything that has to be turned back for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from imgforge.model import Crop, Gravity, ProcessingOptions
from imgforge.processing import ProcessingSettings, process
from tests.support.images import decoded, oriented
from tests.support.rendition_case import Case, check, parameters

ORIENTATIONS = range(1, 9)
# Centred on an axis only where the rest is a multiple of four: elsewhere the middle is not the same from both ends.
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


def turns() -> Iterator[Case]:
    for orientation, rotate, stored in product(ORIENTATIONS, (0, 90, 180, 270), ("PNG", "JPEG")):
        yield Case(f"{stored} {orientation} rotated {rotate}", {"rotate": rotate}, (96, 64), orientation, stored)


def crops() -> Iterator[Case]:
    for orientation, gravity, rotate in product(ORIENTATIONS, GRAVITIES, (0, 90)):
        options = {"crop": Crop(24, 16, gravity), "rotate": rotate}
        name = f"{orientation} rotated {rotate} cropped by {gravity.type} {gravity.x} {gravity.y}"
        yield Case(name, options, (96, 64), orientation)


def every_crop() -> Iterator[Case]:
    """All orientations with all gravities, of a crop in pixels and one in fractions, alone and before a fill."""
    sizes = {"pixels": (24.0, 16.0), "fractions": (0.25, 0.5)}
    for orientation, gravity, (kind, size) in product(ORIENTATIONS, EVERY_GRAVITY, sizes.items()):
        name = f"{orientation} cropped in {kind} by {gravity.type} {gravity.x} {gravity.y}"
        yield Case(name, {"crop": Crop(*size, gravity)}, (96, 64), orientation)
    for orientation, gravity in product(ORIENTATIONS, EVERY_GRAVITY):
        name = f"{orientation} filled by {gravity.type} {gravity.x} {gravity.y}"
        options = {"resizing_type": "fill", "width": 48, "height": 48, "gravity": gravity}
        yield Case(name, options, (96, 64), orientation)


def fills() -> Iterator[Case]:
    for orientation, flipped, kind in product(ORIENTATIONS, (False, True), ("no", "soea")):
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
        yield Case(f"{orientation} not obeyed", options, (96, 64), orientation)


@parameters(turns())
def test_turned_as_exif_and_the_url_say(case: Case) -> None:
    check(case)


@parameters(crops())
def test_crop_counts_in_the_final_orientation(case: Case) -> None:
    check(case)


@parameters(every_crop())
def test_every_gravity_counts_in_the_final_orientation(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_the_smart_gravity_finds_the_same_thing_however_it_is_turned(orientation: int, rotate: int) -> None:
    """A red patch on grey must be in the cut whole; where exactly that lies is libvips' affair."""
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
    """How much smaller an area of the 96 x 64 picture becomes when it fills 64 x 40."""
    upright = (orientation >= 5) == (rotate in (90, 270))
    shrink = min(96 / 64, 64 / 40) if upright else min(64 / 64, 96 / 40)
    return 1 / shrink**2


@parameters(fills())
def test_fill_counts_in_the_final_orientation(case: Case) -> None:
    check(case)


@parameters(ignored())
def test_orientation_is_not_obeyed_if_switched_off(case: Case) -> None:
    check(case)
