"""The position, the size and the blending of watermarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
import pyvips

from imgforge.model import Color, Gravity, Padding, ProcessingOptions, Rendition, Watermark
from imgforge.processing import ProcessingSettings, process
from tests.support.geometry import place
from tests.support.images import Pixels, animation, decoded, encoded, smooth
from tests.support.rendition_case import alike

MARK_SIZE = (12, 8)
OUTER = (96, 64)


def mark(alpha: int = 255) -> Pixels:
    pixels = np.zeros((MARK_SIZE[1], MARK_SIZE[0], 4), np.uint8)
    pixels[:] = (250, 20, 40, alpha)
    pixels[:, :6, 1] = 200
    return pixels


def marked(source: bytes, wanted: Watermark, alpha: int = 255, **options: Any) -> Rendition:
    asked = ProcessingOptions(**{"format": "png", "watermark": wanted, **options})
    settings = ProcessingSettings(max_animation_frames=10)
    return process(source, asked, settings, watermarks={"": encoded(mark(alpha))})


def composited(below: Pixels, above: Pixels, left: int, top: int, opacity: float) -> Pixels:
    """*above* (RGBA) over *below* (RGB), clipped to it."""
    result = below.astype(float)
    for y, x in product(range(above.shape[0]), range(above.shape[1])):
        if 0 <= top + y < below.shape[0] and 0 <= left + x < below.shape[1]:
            alpha = above[y, x, 3] / 255 * opacity
            result[top + y, left + x] = above[y, x, :3] * alpha + result[top + y, left + x] * (1 - alpha)
    return result


@dataclass(frozen=True, slots=True)
class Mark:
    """A watermark and further options."""

    name: str
    watermark: Watermark
    alpha: int = 255
    options: dict[str, Any] = field(default_factory=dict)
    dpr: int = 1


POSITIONS = ("ce", "no", "so", "ea", "we", "noea", "nowe", "soea", "sowe")


def marks() -> Iterator[Mark]:
    for position, (x, y) in product(POSITIONS, ((0.0, 0.0), (7.0, 5.0), (-6.0, -3.0), (0.25, 0.125))):
        yield Mark(f"{position} {x} {y}", Watermark(1.0, position, x, y))
    for opacity, alpha in product((0.25, 0.5, 0.9), (255, 128)):
        yield Mark(f"opacity {opacity} of {alpha}", Watermark(opacity, "nowe"), alpha)
    yield Mark("almost outside", Watermark(1.0, "nowe", -11.0, -7.0))
    yield Mark("beyond the right edge", Watermark(1.0, "nowe", 90.0, 60.0))


@pytest.mark.parametrize("case", list(marks()), ids=lambda case: case.name)
def test_position_and_offsets(case: Mark) -> None:
    made = decoded(marked(encoded(smooth()), case.watermark, case.alpha).body)
    gravity = Gravity(case.watermark.position, case.watermark.x, case.watermark.y)
    left, top = place(OUTER, MARK_SIZE, gravity, inside=False)
    assert made.shape == (64, 96, 3)
    alike(made, composited(smooth(), mark(case.alpha), left, top, case.watermark.opacity), mean=0.2, most=2)


@pytest.mark.parametrize(("scale", "size"), [(0.5, (48, 32)), (0.25, (24, 16)), (1.0, (96, 64)), (0.125, (12, 8))])
def test_scale_is_a_fraction_of_the_result(scale: float, size: tuple[int, int]) -> None:
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "nowe", scale=scale)).body)
    differs = np.abs(made.astype(int) - smooth()).max(axis=2) > 3
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    assert (int(columns[-1]) + 1, int(rows[-1]) + 1) == size


@pytest.mark.parametrize(("gap_x", "gap_y"), [(0, 0), (4, 2), (1, 9), (24, 24)])
def test_tiles_fill_the_picture_from_its_middle(gap_x: int, gap_y: int) -> None:
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "re", float(gap_x), float(gap_y))).body).astype(int)
    tile = np.zeros((MARK_SIZE[1] + gap_y, MARK_SIZE[0] + gap_x), bool)
    tile[gap_y // 2 : gap_y // 2 + MARK_SIZE[1], gap_x // 2 : gap_x // 2 + MARK_SIZE[0]] = True
    counts = [-(-full // side) | 1 for full, side in ((64, tile.shape[0]), (96, tile.shape[1]))]
    tiles = np.tile(tile, counts)
    top, left = (tiles.shape[0] - 64) // 2, (tiles.shape[1] - 96) // 2
    covered = tiles[top : top + 64, left : left + 96]
    assert (made[covered][:, 0] == 250).all()
    assert (abs(made - smooth())[~covered] <= 1).all()


@pytest.mark.parametrize(("gap_x", "gap_y"), [(-12.0, 0.0), (-30.0, 4.0), (0.0, -8.0), (-0.5, -0.5)])
def test_tiles_whose_gaps_leave_nothing_are_not_drawn(gap_x: float, gap_y: float) -> None:
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "re", gap_x, gap_y)).body)
    alike(made, smooth(), mean=0, most=0)


@pytest.mark.parametrize(
    ("x", "y", "left", "top"),
    [(-40.0, 0.0, -11, 0), (0.0, -40.0, 0, -7), (200.0, 0.0, 95, 0), (0.0, 200.0, 0, 63), (-40.0, 200.0, -11, 63)],
)
def test_a_watermark_outside_the_picture_keeps_one_pixel_inside(x: float, y: float, left: int, top: int) -> None:
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "nowe", x, y)).body)
    alike(made, composited(smooth(), mark(), left, top, 1.0), mean=0, most=1)


def test_the_operators_opacity_multiplies_the_urls() -> None:
    options = ProcessingOptions(format="png", watermark=Watermark(0.5, "nowe"))
    body = process(
        encoded(smooth()), options, ProcessingSettings(watermark_opacity=0.5), watermarks={"": encoded(mark())}
    ).body
    alike(decoded(body), composited(smooth(), mark(), 0, 0, 0.25), mean=0.2, most=2)


def test_a_watermark_may_cover_the_padding() -> None:
    options: dict[str, Any] = {"padding": Padding(10, 10, 10, 10), "background": Color(0, 0, 0)}
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "nowe"), **options).body)
    assert made[0, 0].tolist() == [250, 200, 40]
    assert made[9, 0].tolist() == [0, 0, 0]


def test_offsets_are_multiplied_by_dpr() -> None:
    made = decoded(marked(encoded(smooth()), Watermark(1.0, "nowe", 5, 5), dpr=2.0, enlarge=True).body).astype(int)
    assert abs(made[10, 10] - (250, 200, 40)).max() <= 2
    assert abs(made[9, 9] - (250, 200, 40)).max() > 20


def test_a_coloured_mark_colours_a_grey_picture() -> None:
    made = decoded(marked(encoded(smooth()[:, :, 0].copy()), Watermark(1.0, "nowe")).body)
    assert made[0, 0].tolist() == [250, 200, 40]


def test_without_opacity_there_is_no_watermark() -> None:
    alike(decoded(marked(encoded(smooth()), Watermark(0.0, "ce")).body), smooth(), mean=0, most=0)


def test_every_frame_has_the_watermark() -> None:
    source = animation([smooth(), 255 - smooth(), smooth()], (50, 60, 70), 0)
    made = marked(source, Watermark(1.0, "sowe"), format="webp", quality=100)
    frames = pyvips.Image.new_from_buffer(made.body, "", n=-1).numpy().reshape(3, 64, 96, -1)
    for frame in frames:
        assert abs(frame[62, 2, :3].astype(int) - (250, 200, 40)).max() <= 25
        assert abs(frame[52, 2, :3].astype(int) - (250, 200, 40)).max() > 25
