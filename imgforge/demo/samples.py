"""The sample images of the demo page, drawn with libvips so that the package contains no image files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pyvips

__all__ = ["SAMPLES", "draw_sample"]

_SKY, _HORIZON, _SUN = (28, 52, 112), (252, 176, 118), (255, 244, 214)
# Ridges from far to near: height of the crest and of its waves (fractions of the picture), waves, colour.
_RIDGES = (
    (0.56, 0.055, 1.7, (118, 104, 142)),
    (0.66, 0.045, 2.9, (74, 76, 118)),
    (0.77, 0.060, 2.1, (38, 54, 84)),
    (0.90, 0.035, 4.3, (16, 28, 46)),
)


def _mix(mask: Any, top: Any, bottom: Any) -> Any:
    """*top* where *mask* is 1, *bottom* where it is 0."""
    return mask * top + (1 - mask) * bottom


def _scenery(width: int, height: int) -> Any:
    """Hills at dusk: a vertical gradient, a glowing sun, and ridges with noise; float RGB."""
    xy = pyvips.Image.xyz(width, height)
    x, y = xy[0] / width, xy[1] / height
    picture = _mix(_clamp(y / 0.7), list(_HORIZON), list(_SKY))
    distance = ((x - 0.68) ** 2 + ((y - 0.42) * height / width) ** 2) ** 0.5
    picture = _mix(_clamp((0.05 - distance) * 160), list(_SUN), picture)
    picture = _mix(_clamp(1 - distance / 0.45) ** 2 * 0.6, list(_SUN), picture)
    grain = pyvips.Image.perlin(width, height, cell_size=max(8, width // 24), seed=7)
    for crest, swell, waves, colour in _RIDGES:
        ridge = (x * 360 * waves + waves * 77).math("sin") * swell + (x * 360 * waves * 2.7).math("sin") * swell * 0.3
        mask = _clamp((y - crest - ridge - grain * swell * 0.25) * height)
        shade = 1 + grain * 0.12 - (y - crest) * 0.4
        picture = _mix(mask, shade * list(colour), picture)
    return picture


def _clamp(image: Any) -> Any:
    return (image < 0).ifthenelse(0, (image > 1).ifthenelse(1, image))


def _landscape() -> bytes:
    return bytes(_srgb(_scenery(1600, 1000)).jpegsave_buffer(Q=90))


def _portrait() -> bytes:
    """Stored rotated by 90 degrees, with EXIF orientation 6, as phones do it."""
    upright = _srgb(_scenery(1600, 2400).crop(500, 850, 900, 1350)).copy_memory()
    sideways = upright.rot270().copy()
    sideways.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return bytes(sideways.jpegsave_buffer(Q=90))


def _logo() -> bytes:
    """An anvil's spark: a disc with a soft hole and rays, on transparency."""
    side = 600
    xy = pyvips.Image.xyz(side, side) - side / 2
    radius = (xy[0] ** 2 + xy[1] ** 2) ** 0.5
    angle = xy[1].math2(xy[0], "atan2")
    edge = (angle * 8).math("sin") * 26 + 230
    alpha = _clamp((edge - radius) / 3) * _clamp((radius - 92) / 3)
    heat = _clamp(radius / 260)
    colour = _mix(heat, [214, 58, 36], [255, 208, 84])
    return bytes(colour.bandjoin(alpha * 255).cast("uchar").copy(interpretation="srgb").pngsave_buffer())


def _animation() -> bytes:
    """A ball that circles once: sixteen frames of 80 ms."""
    side, frames = 240, 16
    pages = []
    for index in range(frames):
        turn = 2 * math.pi * index / frames
        xy = pyvips.Image.xyz(side, side)
        away = ((xy[0] - 120 - 72 * math.cos(turn)) ** 2 + (xy[1] - 120 - 72 * math.sin(turn)) ** 2) ** 0.5
        pages.append(_mix(_clamp(26 - away), [250, 140, 60], xy[1] / side * [30, 40, 60] + [24, 34, 66]))
    strip = _srgb(pyvips.Image.arrayjoin(pages, across=1)).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", side)
    strip.set_type(pyvips.GValue.array_int_type, "delay", [80] * frames)
    strip.set_type(pyvips.GValue.gint_type, "loop", 0)
    return bytes(strip.gifsave_buffer())


def _drawing() -> bytes:
    petals = "".join(
        '<ellipse cx="100" cy="58" rx="20" ry="42" fill="#e8643c" fill-opacity=".75" '
        f'transform="rotate({turn} 100 100)"/>'
        for turn in range(0, 360, 45)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200" viewBox="0 0 200 200">'
        f'<rect width="200" height="200" rx="24" fill="#20304c"/>{petals}'
        '<circle cx="100" cy="100" r="20" fill="#ffd054"/></svg>'
    ).encode("ascii")


def _srgb(image: Any) -> Any:
    return image.cast("uchar").copy(interpretation="srgb")


SAMPLES: dict[str, Callable[[], bytes]] = {
    "landscape": _landscape,
    "portrait": _portrait,
    "logo": _logo,
    "animation": _animation,
    "drawing": _drawing,
}


@cache
def draw_sample(name: str) -> bytes:
    """The encoded image *name*, a key of `SAMPLES`; drawn once in a process."""
    return SAMPLES[name]()
