"""The traffic behind a CDN: few originals are requested often and many rarely, in several widths and formats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyvips

from bench.pictures import draw_photo
from bench.workloads import image_path

__all__ = ["ZipfTraffic", "draw_originals", "write_photo_originals"]

_MIN_BYTES, _MAX_BYTES = 100_000, 1_000_000  # of an original
# Width, grain (which sets the length in bytes) and quality of drawn originals; the height is two thirds of the width.
_DRAWN_ORIGINALS = tuple(
    (width, grain, quality)
    for width in (1200, 1600, 1920, 2400)
    for grain, quality in ((3.0, 85), (5.0, 82), (9.0, 80))
)
# Width and quality of the originals that are made of each photo.
_PHOTO_VARIANTS = ((2400, 82), (2000, 85), (1600, 85), (1200, 88))


@dataclass(frozen=True, slots=True)
class ZipfTraffic:
    """A random mix of *requests* for *originals* by Zipf's law with *exponent*.

    Widths are equally likely, formats are chosen by their weights.
    """

    requests: int
    originals: int
    widths: Sequence[int]
    formats: dict[str, float]
    exponent: float
    seed: int

    def paths(self, base: str) -> Iterator[str]:
        """Yield the path of each request, the same for the same *seed*; *base* is the base URL of the originals."""
        for number, width, extension in self.renditions():
            yield image_path(f"rs:fit:{width}:0", f"{base}{number}.jpg", extension)

    def renditions(self) -> Iterator[tuple[int, int, str]]:
        """Yield the number of the original, the width and the extension of each request."""
        rng = random.Random(self.seed)
        numbers = list(range(self.originals))
        rng.shuffle(numbers)  # so that popularity does not depend on size
        weights = [1 / rank**self.exponent for rank in range(1, self.originals + 1)]
        columns = (
            rng.choices(numbers, weights, k=self.requests),
            rng.choices(self.widths, k=self.requests),
            rng.choices(list(self.formats), list(self.formats.values()), k=self.requests),
        )
        return zip(*columns, strict=True)


def draw_originals(directory: Path) -> None:
    """Draw a dozen JPEGs of 100 kB to 1 MB into *directory*."""
    for number, (width, grain, quality) in enumerate(_DRAWN_ORIGINALS):
        picture = draw_photo(width, width * 2 // 3, grain=grain, quality=quality)
        (directory / f"{number:03}.jpg").write_bytes(picture)


def write_photo_originals(photos: Path, directory: Path) -> int:
    """Write JPEGs of several sizes of each photo in *photos* into *directory*; return their number."""
    count = 0
    for photo in sorted(photos.iterdir()):
        for width, quality in _PHOTO_VARIANTS:
            image = pyvips.Image.thumbnail(str(photo), width, size="down")
            image = image.flatten() if image.hasalpha() else image
            body = bytes(image.jpegsave_buffer(Q=quality, keep="none"))
            if _MIN_BYTES <= len(body) <= _MAX_BYTES:
                (directory / f"{count:03}.jpg").write_bytes(body)
                count += 1
    return count
