"""The workloads of `cold.py` and `small.py` with the pictures that they need, and the paths of image URLs."""

from __future__ import annotations

import itertools
import os
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.pictures import draw_photo

__all__ = ["CACHEBUSTERS", "SMALL_WORKLOADS", "WORKLOADS", "Workload", "draw_missing_photos", "image_path"]

CACHEBUSTERS = itertools.count(int.from_bytes(os.urandom(5)) * 1_000_000)  # no run repeats a URL of another run


@dataclass(frozen=True, slots=True)
class Workload:
    """One source and its rendition: *resizing_type* `fit` or `fill` into *box* x *box* pixels, encoded as *format*.

    *width*, *height*, *grain* and *quality* (None: PNG with alpha) describe the drawing that replaces a missing photo.
    """

    source: str
    resizing_type: str
    box: int
    format: str
    width: int
    height: int
    grain: float
    quality: int | None

    @property
    def title(self) -> str:
        """A title for tables."""
        return f"{self.source} {self.width}x{self.height} -> {self.resizing_type} {self.box} {self.format}"

    @property
    def options(self) -> str:
        """The processing options of an image URL."""
        return f"rs:{self.resizing_type}:{self.box}:{self.box}"


# The photos are those of Debian's package mate-backgrounds.
WORKLOADS = (
    Workload("Garden.jpg", "fit", 500, "jpg", 2560, 1600, 2.8, 75),
    Workload("Blinds.jpg", "fill", 300, "webp", 1920, 1200, 9.0, 92),
    Workload("Gulp.png", "fit", 500, "webp", 1920, 1200, 0.45, None),
    Workload("Elephants_3840x2160.jpg", "fit", 1000, "jpg", 3840, 2160, 22.0, 96),
)

SMALL_WORKLOADS = (
    Workload("small.jpg", "fit", 160, "jpg", 640, 400, 4.0, 82),
    Workload("tiny.jpg", "fill", 96, "webp", 320, 200, 4.0, 82),
    Workload("icon.png", "fit", 64, "png", 128, 80, 0.45, None),
)


def draw_missing_photos(directory: Path, workloads: Iterable[Workload]) -> list[str]:
    """Draw replacements for the photos that *directory* lacks, and return their names."""
    missing = [workload for workload in workloads if not (directory / workload.source).is_file()]
    directory.mkdir(parents=True, exist_ok=True)
    for workload in missing:
        picture = draw_photo(workload.width, workload.height, grain=workload.grain, quality=workload.quality)
        (directory / workload.source).write_bytes(picture)
    return [workload.source for workload in missing]


def image_path(options: str, source: str, extension: str) -> str:
    """Return the unsigned path of an image URL; empty *options* or *extension* are left out."""
    path = "/unsafe/" + (f"{options}/" if options else "") + "plain/" + urllib.parse.quote(source, safe=":/")
    return f"{path}@{extension}" if extension else path
