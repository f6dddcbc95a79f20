"""Borders: found by colour and threshold, removed before the sizes are planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

from imgforge.model import Color, Trim
from tests.support.images import Pixels, decoded, encoded, smooth
from tests.support.rendition_case import alike, rendered

MARGINS = (6, 22, 10, 14)  # left, right, above, below
SIZE = (60, 40)


def bordered(colour: Sequence[int]) -> Pixels:
    """A picture of `SIZE` with `MARGINS` of *colour*."""
    left, right, above, below = MARGINS
    canvas = np.empty((SIZE[1] + above + below, SIZE[0] + left + right, len(colour)), np.uint8)
    canvas[:] = colour
    inner = smooth(*SIZE)
    canvas[above : above + SIZE[1], left : left + SIZE[0], :3] = inner
    canvas[above : above + SIZE[1], left : left + SIZE[0], 3:] = 255
    return canvas


@dataclass(frozen=True, slots=True)
class Border:
    """A border's colour, the trim option, and the margins (left, right, above, below) that must remain."""

    name: str
    colour: tuple[int, ...]
    trim: Trim
    left_over: tuple[int, int, int, int] = (0, 0, 0, 0)


def cases() -> Iterator[Border]:
    for colour in ((255, 255, 255), (0, 0, 0), (200, 10, 200), (0, 0, 0, 0), (255, 0, 255, 0)):
        yield Border(f"{colour}", colour, Trim(10))
        yield Border(f"{colour} equally across", colour, Trim(10, equal_horizontal=True), (0, 16, 0, 0))
        yield Border(f"{colour} equally down", colour, Trim(10, equal_vertical=True), (0, 0, 0, 4))
        yield Border(f"{colour} equally", colour, Trim(10, None, True, True), (0, 16, 0, 4))
    yield Border("a named colour", (255, 255, 255), Trim(10, Color(255, 255, 255)))
    yield Border("a colour that is near", (250, 250, 250), Trim(10, Color(255, 255, 255)))
    yield Border("another colour", (255, 255, 255), Trim(10, Color(0, 0, 0)), MARGINS)
    yield Border("transparent, named magenta", (0, 0, 0, 0), Trim(10, Color(255, 0, 255)))


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_trim_leaves_the_area_within_the_border(case: Border) -> None:
    source = bordered(case.colour)
    left, right, above, below = (margin - rest for margin, rest in zip(MARGINS, case.left_over, strict=True))
    made = decoded(rendered(encoded(source), trim=case.trim).body)
    wanted = source[above : source.shape[0] - below, left : source.shape[1] - right]
    assert made.shape == wanted.shape
    alike(made, wanted, mean=0, most=0)


@pytest.mark.parametrize(("width", "rotate"), list(product((30, 45, 0), (0, 90, 180))))
def test_sizes_are_planned_for_the_trimmed_image(width: int, rotate: int) -> None:
    made = rendered(encoded(bordered((255, 255, 255))), trim=Trim(10), width=width, rotate=rotate)
    seen = SIZE if rotate % 180 == 0 else SIZE[::-1]
    width = min(width or seen[0], seen[0])  # nothing is enlarged by default
    wanted = width, round(seen[1] * width / seen[0])
    assert (made.width, made.height) == wanted


def test_a_uniform_picture_is_not_trimmed() -> None:
    made = decoded(rendered(encoded(np.full((30, 50, 3), 90, np.uint8)), trim=Trim(10)).body, "RGB")
    assert made.shape == (30, 50, 3)
    assert (made == 90).all()


@pytest.mark.parametrize("thickness", [1, 2])
@pytest.mark.parametrize("standing", [False, True])
def test_a_line_is_trimmed_at_its_ends(thickness: int, standing: bool) -> None:
    line = np.full((thickness, 40, 3), 255, np.uint8)
    line[:, 10:30] = 20
    made = decoded(rendered(encoded(line.swapaxes(0, 1) if standing else line), trim=Trim(10)).body, "RGB")
    assert made.shape == ((20, thickness, 3) if standing else (thickness, 20, 3))
    assert (made == 20).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 50), (50, 2)])
def test_a_tiny_uniform_picture_is_not_trimmed(size: tuple[int, int]) -> None:
    made = rendered(encoded(np.full((size[1], size[0], 3), 90, np.uint8)), trim=Trim(10))
    assert (made.width, made.height) == size


def test_a_jpeg_is_trimmed_before_it_is_scaled() -> None:
    big = np.kron(bordered((255, 255, 255)), np.ones((8, 8, 1), np.uint8))
    made = rendered(encoded(big, "JPEG", quality=98, subsampling=0), trim=Trim(40), width=60)
    assert (made.width, made.height) == SIZE
    alike(decoded(made.body, "RGB"), smooth(*SIZE), mean=3, most=40)
