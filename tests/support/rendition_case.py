"""A row of the tables in tests/conformance, and the comparison of a rendition with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from imgforge.model import ProcessingOptions, Rendition
from imgforge.processing import ProcessingSettings, process
from tests.support.geometry import Layout
from tests.support.images import Pixels, decoded, encoded, oriented, smooth
from tests.support.rendition_model import Expected, expected

__all__ = ["Case", "alike", "check", "parameters", "rendered"]

_NEARLY_LOSSLESS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A picture, its file format and options; `tests.support.rendition_model` computes the expected rendition."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (96, 64)
    orientation: int = 1
    stored: str = "PNG"
    pixels: Pixels | None = None
    settings: ProcessingSettings = field(default_factory=ProcessingSettings)


def parameters(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """The mark that runs a test once for each case, under its name."""
    rows = list(cases)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), "two cases have the same name"
    return pytest.mark.parametrize("case", rows, ids=names)


def rendered(source: bytes, settings: ProcessingSettings | None = None, **options: Any) -> Rendition:
    """The rendition under *options*, a PNG by default."""
    return process(source, ProcessingOptions(**{"format": "png", **options}), settings or ProcessingSettings())


def check(case: Case, *, slack: float = 0.0) -> None:
    """Render *case*, and compare its size and pixels with the expectation.

    *slack* is the part of a pixel by which resampled pixels may be displaced: libvips scales by the exact factor and
    Pillow to the rounded size, which differ by up to half a pixel at the far edge.
    """
    pixels = smooth(*case.size) if case.pixels is None else case.pixels
    how = _NEARLY_LOSSLESS.get(case.stored, {})
    plain = case.orientation == 1
    source = encoded(pixels, case.stored, **how) if plain else oriented(pixels, case.orientation, case.stored, **how)
    options = ProcessingOptions(**{"format": "png", **case.options})
    made = process(source, options, case.settings)
    wanted = expected(pixels, options, case.orientation)
    assert not wanted.layout.ambiguous, "the case's own sizes round either way: choose others"
    assert (made.width, made.height) == wanted.layout.canvas
    got = decoded(made.body)
    assert got.shape == wanted.pixels.shape
    mean, most = _tolerance(case, made.format, wanted)
    if slack:  # libvips resamples also where its factor is near 1 and the rounded size stays
        mean, most = max(mean, 0.3), max(most, 2.0)
    displaced = slack * _slope(wanted.layout)
    alike(got, wanted.pixels, mean=mean + displaced, most=most + 2 * displaced)


def _growth(sizes: Layout) -> tuple[float, float]:
    return sizes.scaled[0] / sizes.cropped[0], sizes.scaled[1] / sizes.cropped[1]


def _slope(sizes: Layout) -> float:
    """The largest difference between neighbouring pixels of `smooth` in the result."""
    return 190 / (min(sizes.source) * min(_growth(sizes)))


def _tolerance(case: Case, file_format: str, wanted: Expected) -> tuple[float, float]:
    """The allowed difference between two good resamplers, or by JPEG: on average and anywhere."""
    sizes = wanted.layout
    if min(sizes.scaled) < 8:  # only edges
        return 4.0, 8.0
    if file_format == "jpeg":
        return 1.2, 16.0  # it rings at the edges of paddings
    if max(_growth(sizes)) > 1:
        # Where the other side is not enlarged libvips is displaced by half a pixel.
        slip = _slope(sizes) / 2 if min(_growth(sizes)) <= 1 else 0.0
        return 1.2 + slip, 8.0 + slip
    return (0.0, 1.0) if wanted.exact and case.stored != "JPEG" else (0.9, 8.0)


def alike(got: Pixels, wanted: Pixels, *, mean: float = 3.0, most: float = 24.0) -> None:
    """Assert that the pixels differ little on average and anywhere; colours of invisible pixels are ignored."""
    got, wanted = _visible(got), _visible(wanted)
    difference = np.abs(got - wanted)
    assert difference.mean() <= mean + 0.02, f"mean difference {difference.mean():.2f}"
    assert difference.max() <= most, f"largest difference {difference.max():.0f}"


def _visible(pixels: Pixels) -> Pixels:
    pixels = np.asarray(pixels, float)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels.copy()
        pixels[:, :, :3] *= pixels[:, :, 3:] / 255
    return pixels
