"""A row of the tables of this folder, and how a rendition is judged by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from imgforge.model import ProcessingOptions, Rendition
from imgforge.processing import ProcessingSettings, process
from tests.conformance.images import Pixels, decoded, encoded, oriented, smooth
from tests.conformance.model import expected

__all__ = ["Case", "alike", "check", "parameters", "rendered"]


@dataclass(frozen=True, slots=True)
class Case:
    """A picture, how it is stored, and what is asked of it; the answer is computed by `tests.conformance.model`."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (96, 64)
    orientation: int = 1
    stored: str = "PNG"
    pixels: Pixels | None = None


def parameters(cases: Iterable[Case]) -> Any:
    """The mark that runs a test once for each case, under its name."""
    rows = list(cases)
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), "two cases have the same name"
    return pytest.mark.parametrize("case", rows, ids=names)


def rendered(source: bytes, settings: ProcessingSettings | None = None, **options: Any) -> Rendition:
    """The rendition under options given by name; a PNG unless they say otherwise."""
    return process(source, ProcessingOptions(**{"format": "png", **options}), settings or ProcessingSettings())


def check(case: Case) -> None:
    """Render *case*, and compare its size and pixels with the expectation."""
    pixels = smooth(*case.size) if case.pixels is None else case.pixels
    how = {"quality": 95, "subsampling": 0} if case.stored == "JPEG" else {}
    plain = case.orientation == 1
    source = encoded(pixels, case.stored, **how) if plain else oriented(pixels, case.orientation, case.stored, **how)
    options = ProcessingOptions(**{"format": "png", **case.options})
    made = process(source, options, ProcessingSettings())
    wanted = expected(pixels, options, case.orientation)
    assert not wanted.layout.ambiguous, "the case's own numbers are on a knife's edge: choose others"
    assert (made.width, made.height) == wanted.layout.canvas
    got = decoded(made.body)
    assert got.shape == wanted.pixels.shape
    lossless = wanted.exact and case.stored != "JPEG" and made.format != "jpeg"
    alike(got, wanted.pixels, tolerance=0 if lossless else 0.8, worst=1 if lossless else 8)


def alike(got: Pixels, wanted: Pixels, *, tolerance: float = 3.0, worst: float = 24.0) -> None:
    """Equal on average and nowhere far apart; invisible colours do not count."""
    got, wanted = _visible(got), _visible(wanted)
    difference = np.abs(got - wanted)
    assert difference.mean() <= tolerance + 0.02, f"mean difference {difference.mean():.2f}"
    assert difference.max() <= worst, f"largest difference {difference.max():.0f}"


def _visible(pixels: Pixels) -> Pixels:
    pixels = np.asarray(pixels, float)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels.copy()
        pixels[:, :, :3] *= pixels[:, :, 3:] / 255
    return pixels
