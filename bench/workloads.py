"""The four works that `cold.py` measures, and the directory of photos that they need."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.pictures import stand_in

__all__ = ["WORKLOADS", "Workload", "draw_missing_photos", "image_path"]


@dataclass(frozen=True, slots=True)
class Workload:
    """One source and what is made of it: `fit` or `fill` into *box* x *box* pixels.

    *width*, *height*, *grain* and *quality* (None: PNG with alpha) describe the stand-in for a missing photo.
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
        """The work in a few words, for tables."""
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


def draw_missing_photos(directory: Path, works: Iterable[Workload]) -> list[str]:
    """Draw stand-ins for the photos of *works* that *directory* lacks; the names of those drawn."""
    missing = [work for work in works if not (directory / work.source).is_file()]
    directory.mkdir(parents=True, exist_ok=True)
    for work in missing:
        picture = stand_in(work.width, work.height, grain=work.grain, quality=work.quality)
        (directory / work.source).write_bytes(picture)
    return [work.source for work in missing]


def image_path(options: str, source: str, extension: str) -> str:
    """The unsigned path of an image URL; empty *options* or *extension* are left out."""
    path = "/unsafe/" + (f"{options}/" if options else "") + "plain/" + urllib.parse.quote(source, safe=":/")
    return f"{path}@{extension}" if extension else path
