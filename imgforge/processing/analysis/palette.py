"""The colours of a picture: its average, a palette, and the six dominant ones, from a few thousand RGBA pixels.

The palette is found by repeatedly splitting the group of colours with the largest variance (Wu's variance-based
quantisation, along one axis). The dominant colours are chosen from a palette as in Vibrant
(https://github.com/Vibrant-Colors/node-vibrant): each class has ranges of saturation and luminance, and takes a
frequent colour near their targets.
"""

from __future__ import annotations

import colorsys
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["average", "dominant", "palette"]

Rgba = tuple[int, ...]
_Weighted = list[tuple[Rgba, int]]

_SWATCHES = 64
_OPAQUE = 125  # pixels of less alpha do not count for the dominant colours
_WHITE = 250  # nor do pixels whose channels are all above this
_SATURATION_WEIGHT, _LUMINANCE_WEIGHT, _POPULATION_WEIGHT = 3.0, 6.5, 0.5


def _pixels(rgba: bytes) -> Iterable[Rgba]:
    """The pixels of RGBA bytes; fully transparent ones lose their colour."""
    pixels = zip(rgba[0::4], rgba[1::4], rgba[2::4], rgba[3::4], strict=True)
    return (pixel if pixel[3] else (0, 0, 0, 0) for pixel in pixels)


def average(rgba: bytes, *, ignore_transparent: bool) -> dict[str, int]:
    """The mean of each channel in 0..255, of all pixels or of those that are not fully transparent."""
    counts = Counter(_pixels(rgba))
    if ignore_transparent:
        del counts[0, 0, 0, 0]
    return _named(_mean(list(counts.items())) if counts else (0, 0, 0, 0))


def palette(rgba: bytes, size: int) -> list[dict[str, int]]:
    """At most *size* RGBA colours, the most frequent first."""
    return [_named(colour) for colour, _ in _quantised(list(Counter(_pixels(rgba)).items()), size)]


def _named(colour: Rgba) -> dict[str, int]:
    return dict(zip("RGBA", colour, strict=False))


def _mean(colours: _Weighted) -> Rgba:
    total = sum(count for _, count in colours)
    sums = (sum(colour[axis] * count for colour, count in colours) for axis in range(4))
    return tuple((2 * value + total) // (2 * total) for value in sums)


def _quantised(colours: _Weighted, size: int) -> _Weighted:
    """The mean colours of at most *size* groups, with the number of pixels of each."""
    groups = [_group(colours, 0)] if colours else []
    number = 1
    while groups and groups[0][0] < 0 and len(groups) < size:
        _, _, axis, middle, split = heapq.heappop(groups)
        for half in (
            [one for one in split if one[0][axis] <= middle],
            [one for one in split if one[0][axis] > middle],
        ):
            heapq.heappush(groups, _group(half, number))
            number += 1
    means = [(_mean(group[-1]), sum(count for _, count in group[-1])) for group in groups]
    return sorted(means, key=lambda one: (-one[1], one[0]))


def _group(colours: _Weighted, number: int) -> tuple[float, int, int, float, _Weighted]:
    """A heap item: the largest variance of an axis, negative; *number* for ties; that axis, its mean, the colours."""
    total = sum(count for _, count in colours)
    best = (1.0, 0, 0.0)
    for axis in range(4):
        value = sum(colour[axis] * count for colour, count in colours)
        squares = sum(colour[axis] ** 2 * count for colour, count in colours)
        # In whole numbers, so that the variance of a single colour is exactly 0.
        best = min(best, ((value * value - squares * total) / total, axis, value / total))
    return best[0], number, best[1], best[2], colours


@dataclass(frozen=True, slots=True)
class _Class:
    """The least, the target and the greatest luminance and saturation (of HSL, 0..1)."""

    luminance: tuple[float, float, float]
    saturation: tuple[float, float, float]


_LIGHT, _NORMAL, _DARK = (0.55, 0.74, 1.0), (0.3, 0.5, 0.7), (0.0, 0.26, 0.45)
_VIBRANT, _MUTED = (0.35, 1.0, 1.0), (0.0, 0.3, 0.4)
# In the order in which they choose.
_CLASSES = {
    "vibrant": _Class(_NORMAL, _VIBRANT),
    "light_vibrant": _Class(_LIGHT, _VIBRANT),
    "dark_vibrant": _Class(_DARK, _VIBRANT),
    "muted": _Class(_NORMAL, _MUTED),
    "light_muted": _Class(_LIGHT, _MUTED),
    "dark_muted": _Class(_DARK, _MUTED),
}


def dominant(rgba: bytes, *, build_missed: bool) -> dict[str, dict[str, int]]:
    """The colours by class; a class without a colour is left out, or with *build_missed* derived from another class."""
    visible = {colour: count for colour, count in Counter(_pixels(rgba)).items() if colour[3] >= _OPAQUE}
    coloured = [one for one in visible.items() if min(one[0][:3]) <= _WHITE]
    swatches = _quantised(coloured or list(visible.items()), _SWATCHES)
    chosen: dict[str, Rgba] = {}
    for name, wanted in _CLASSES.items():
        best = _best(swatches, wanted, set(chosen.values()))
        if best is not None:
            chosen[name] = best
    if build_missed and chosen:
        chosen |= {name: _built(name, chosen) for name in _CLASSES if name not in chosen}
    return {name: _named(colour[:3]) for name, colour in sorted(chosen.items())}


def _best(swatches: _Weighted, wanted: _Class, taken: set[Rgba]) -> Rgba | None:
    largest = max((count for _, count in swatches), default=1)
    scores = []
    for colour, count in swatches:
        _, luminance, saturation = _hls(colour)
        if colour not in taken and _within(luminance, wanted.luminance) and _within(saturation, wanted.saturation):
            score = (
                _SATURATION_WEIGHT * (1 - abs(saturation - wanted.saturation[1]))
                + _LUMINANCE_WEIGHT * (1 - abs(luminance - wanted.luminance[1]))
                + _POPULATION_WEIGHT * count / largest
            )
            scores.append((score, colour))
    return max(scores)[1] if scores else None


def _within(value: float, bounds: tuple[float, float, float]) -> bool:
    return bounds[0] <= value <= bounds[2]


def _hls(colour: Rgba) -> tuple[float, float, float]:
    return colorsys.rgb_to_hls(colour[0] / 255, colour[1] / 255, colour[2] / 255)


def _built(name: str, chosen: Mapping[str, Rgba]) -> Rgba:
    """The hue of a related class, with the saturation and the luminance of class *name*."""
    family = name.rpartition("_")[2]
    related = next((one for one in chosen if one.rpartition("_")[2] == family), None)
    hue, _, saturation = _hls(chosen[related or next(iter(chosen))])
    wanted = _CLASSES[name]
    if related is None:
        saturation = wanted.saturation[1] if saturation else 0.0
    return tuple(round(part * 255) for part in colorsys.hls_to_rgb(hue, wanted.luminance[1], saturation))
