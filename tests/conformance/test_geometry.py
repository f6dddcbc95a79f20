"""Resizing, cropping, rotation and extension, alone and in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest
import pyvips

from imgforge.model import Color, Crop, Extend, Gravity, Padding
from tests.support.images import decoded, encoded, smooth
from tests.support.pairwise import combined
from tests.support.rendition_case import Case, alike, check, parameters, rendered

GRAVITIES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")
TYPES = ("fit", "fill", "fill-down", "force", "auto")
SIZES = ((96, 64), (64, 96), (80, 80))


def resizes() -> Iterator[Case]:
    boxes = ((48, 48), (30, 0), (0, 30), (150, 60), (60, 150), (200, 200), (96, 64), (2, 2))
    for kind, box, size, enlarge in combined(TYPES, boxes, SIZES, (False, True)):
        options = {"resizing_type": kind, "width": box[0], "height": box[1], "enlarge": enlarge}
        yield Case(f"{kind} {box[0]}x{box[1]} of {size[0]}x{size[1]}{', enlarged' * enlarge}", options, size)


def gravities() -> Iterator[Case]:
    offsets: tuple[tuple[float, float], ...] = ((0, 0), (5, 3), (-4, 2), (0.1, -0.05))
    for kind, (x, y), use in combined(GRAVITIES, offsets, ("crop", "fill", "extend")):
        gravity = Gravity(kind, x, y)
        options: dict[str, dict[str, Any]] = {
            "crop": {"crop": Crop(48, 20, gravity)},
            "fill": {"resizing_type": "fill", "width": 40, "height": 64, "gravity": gravity},
            "extend": {"width": 120, "height": 100, "extend": Extend(True, gravity)},
        }
        yield Case(f"{use} by {kind} {x} {y}", options[use])
    for x, y in product((0.0, 0.3, 0.5, 1.0), repeat=2):
        yield Case(f"crop about {x} {y}", {"crop": Crop(48, 20), "gravity": Gravity("fp", x, y)})


SINGLE: dict[str, dict[str, Any]] = {
    "fit": {"width": 40, "height": 40},
    "fill": {"width": 40, "height": 40, "resizing_type": "fill", "gravity": Gravity("nowe")},
    "force": {"width": 52, "height": 52, "resizing_type": "force"},
    "one side": {"width": 70},
    "crop in pixels": {"crop": Crop(40, 44, Gravity("soea"))},
    "crop in fractions": {"crop": Crop(0.5, 0.25, Gravity("no"))},
    "rotated": {"rotate": 90},
    "rotated by 180": {"rotate": 180},
    "flipped": {"flip_horizontal": True},
    "flipped over": {"flip_vertical": True},
    "padded": {"padding": Padding(3, 5, 7, 11)},
    "extended": {"extend": Extend(True, Gravity("so", 2, 3))},
    "extended to the ratio": {"extend_aspect_ratio": Extend(True)},
    "twice as dense": {"dpr": 2.0},
    "zoomed out": {"zoom_x": 0.5, "zoom_y": 0.75},
    "zoomed in": {"zoom_x": 1.5, "zoom_y": 1.25},
    "enlarged": {"enlarge": True},
    "at least so wide": {"min_width": 60},
    "at least so high": {"min_height": 90},
    "on a background": {"background": Color(250, 40, 90)},
    "as a jpeg": {"format": "jpeg", "quality": 95},
}


def pairs() -> Iterator[Case]:
    for (first, one), (second, other) in combinations(SINGLE.items(), 2):
        if not one.keys() & other.keys():
            yield Case(f"{first} and {second}", one | other)


def triples() -> Iterator[Case]:
    chosen = ("fill", "crop in pixels", "rotated", "flipped", "padded", "extended", "twice as dense", "zoomed out")
    for names in combinations(chosen, 3):
        merged: dict[str, Any] = {}
        for name in names:
            merged |= SINGLE[name]
        yield Case(", ".join(names), merged | {"background": Color(1, 2, 3)})


@parameters(resizes())
def test_resizing(case: Case) -> None:
    check(case)


@parameters(gravities())
def test_gravity(case: Case) -> None:
    check(case)


@parameters([Case(name, options, size) for name, options in SINGLE.items() for size in SIZES[:1]])
def test_one_option_alone(case: Case) -> None:
    check(case)


@parameters(pairs())
def test_two_options(case: Case) -> None:
    check(case)


@parameters(triples())
def test_three_options(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("size", [(30, 40), (96, 20), (20, 64), (50, 50)])
def test_smart_gravity_crops_as_libvips_does(size: tuple[int, int]) -> None:
    pixels = smooth().copy()
    pixels[10:22, 60:80] = (250, 40, 30)
    wanted = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").smartcrop(*size).numpy()
    for options in (
        {"crop": Crop(*size, Gravity("sm"))},
        {"crop": Crop(*size), "gravity": Gravity("sm")},
    ):
        alike(decoded(rendered(encoded(pixels), **options).body), wanted, mean=0, most=0)
