"""The EXIF orientations, with everything that has to be turned back for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from imgforge.model import Crop, Gravity
from tests.conformance.case import Case, check, parameters

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


def turns() -> Iterator[Case]:
    for orientation, rotate, stored in product(ORIENTATIONS, (0, 90, 180, 270), ("PNG", "JPEG")):
        yield Case(f"{stored} {orientation} rotated {rotate}", {"rotate": rotate}, (96, 64), orientation, stored)


def crops() -> Iterator[Case]:
    for orientation, gravity, rotate in product(ORIENTATIONS, GRAVITIES, (0, 90)):
        options = {"crop": Crop(24, 16, gravity), "rotate": rotate}
        name = f"{orientation} rotated {rotate} cropped by {gravity.type} {gravity.x} {gravity.y}"
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


@parameters(fills())
def test_fill_counts_in_the_final_orientation(case: Case) -> None:
    check(case)


@parameters(ignored())
def test_orientation_is_not_obeyed_if_switched_off(case: Case) -> None:
    check(case)
