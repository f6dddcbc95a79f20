"""Shrink-on-load of large originals: the result must not show it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from imgforge.model import Crop, Gravity
from imgforge.processing import ProcessingSettings
from imgforge.processing.codecs.original import jpeg_shrink
from tests.support.rendition_case import Case, check, parameters

SIZE = (640, 480)
FILES = ("JPEG", "WEBP")


def widths() -> Iterator[Case]:
    # On both sides of a JPEG's steps of 1/2, 1/4 and 1/8, and between them.
    for stored, width in product(FILES, (40, 79, 80, 81, 100, 159, 160, 161, 200, 319, 320, 321, 400, 640)):
        yield Case(f"{stored} {width} wide", {"width": width}, SIZE, stored=stored)


def crops() -> Iterator[Case]:
    gravities = (
        Gravity("nowe", 64, 32),
        Gravity("soea", 16, 48),
        Gravity("ce", 0.125, 0.25),
        Gravity("noea", -8, 8),
        Gravity("fp", 0.25, 0.75),
    )
    # The sides and offsets are multiples of eight, so that no step rounds them.
    for stored, gravity, width in product(FILES, gravities, (40, 80, 160)):
        name = f"{stored} cropped by {gravity.type} {gravity.x} {gravity.y}, {width} wide"
        yield Case(name, {"crop": Crop(320, 160, gravity), "width": width}, SIZE, stored=stored)


def others() -> Iterator[Case]:
    edits: dict[str, dict[str, Any]] = {
        "filled": {"resizing_type": "fill", "width": 60, "height": 60, "gravity": Gravity("soea")},
        "forced": {"resizing_type": "force", "width": 60, "height": 200},
        "zoomed": {"width": 320, "zoom_x": 0.25, "zoom_y": 0.25},
        "dense": {"width": 40, "dpr": 2.0},
        "turned": {"width": 60, "rotate": 90},
    }
    for stored, (name, options), orientation in product(FILES, edits.items(), (1, 3, 6, 8)):
        yield Case(f"{stored} {orientation} {name}", options, SIZE, orientation, stored)


@parameters(widths())
def test_widths_around_the_jpeg_steps(case: Case) -> None:
    check(case)


@parameters(crops())
def test_crops_and_offsets_count_in_pixels_of_the_original(case: Case) -> None:
    check(case)


@parameters(others())
def test_other_resizing_options(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("width", [79, 160, 321])
def test_disable_shrink_on_load_changes_no_result(width: int) -> None:
    settings = ProcessingSettings(disable_shrink_on_load=True)
    check(Case("whole", {"width": width}, SIZE, stored="JPEG", settings=settings))


@pytest.mark.parametrize(
    ("most", "factor"), [(0.5, 1), (1, 1), (1.99, 1), (2, 2), (3.99, 2), (4, 4), (7.99, 4), (8, 8), (90, 8)]
)
def test_jpeg_shrink_is_the_largest_possible_step(most: float, factor: int) -> None:
    assert jpeg_shrink(most) == factor
