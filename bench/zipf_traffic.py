"""Traffic as a CDN sends it on: few originals are asked for often and many rarely, in several widths and formats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyvips

from bench.pictures import stand_in
from bench.workloads import image_path

__all__ = ["ZipfTraffic", "draw_originals", "write_photo_originals"]

_LEAST, _MOST = 100_000, 1_000_000  # bytes of an original
# Width, grain (which sets the weight) and quality of what is drawn; heights are two thirds.
_DRAWN = tuple(
    (width, grain, quality)
    for width in (1200, 1600, 1920, 2400)
    for grain, quality in ((3.0, 85), (5.0, 82), (9.0, 80))
)
_VARIATIONS = ((2400, 82), (2000, 85), (1600, 85), (1200, 88))  # width and quality of a photo's


@dataclass(frozen=True, slots=True)
class ZipfTraffic:
    """Which requests come: *originals* by Zipf's law with *exponent*, widths alike, formats by their weights."""

    requests: int
    originals: int
    widths: Sequence[int]
    formats: dict[str, float]
    exponent: float
    seed: int

    def paths(self, base: str) -> Iterator[str]:
        """Their paths, the same for the same *seed*; *base* is the originals' base URL."""
        for number, width, extension in self.renditions():
            yield image_path(f"rs:fit:{width}:0", f"{base}{number}.jpg", extension)

    def renditions(self) -> Iterator[tuple[int, int, str]]:
        """The original, the width and the extension of each."""
        chance = random.Random(self.seed)
        numbers = list(range(self.originals))
        chance.shuffle(numbers)  # so that what is popular has nothing to do with what is large
        weights = [1 / rank**self.exponent for rank in range(1, self.originals + 1)]
        columns = (
            chance.choices(numbers, weights, k=self.requests),
            chance.choices(self.widths, k=self.requests),
            chance.choices(list(self.formats), list(self.formats.values()), k=self.requests),
        )
        return zip(*columns, strict=True)


def draw_originals(directory: Path) -> None:
    """Draw a dozen JPEGs of 100 kB to 1 MB into *directory*."""
    for number, (width, grain, quality) in enumerate(_DRAWN):
        picture = stand_in(width, width * 2 // 3, grain=grain, quality=quality)
        (directory / f"{number:03}.jpg").write_bytes(picture)


def write_photo_originals(photos: Path, directory: Path) -> int:
    """Write JPEGs of several sizes of each photo in *photos* into *directory*; how many there are."""
    count = 0
    for photo in sorted(photos.iterdir()):
        for width, quality in _VARIATIONS:
            image = pyvips.Image.thumbnail(str(photo), width, size="down")
            image = image.flatten() if image.hasalpha() else image
            body = bytes(image.jpegsave_buffer(Q=quality, keep="none"))
            if _LEAST <= len(body) <= _MOST:
                (directory / f"{count:03}.jpg").write_bytes(body)
                count += 1
    return count
