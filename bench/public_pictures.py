"""The pictures of `public.py`: DIV2K's validation set where it is there, else drawings of its sizes and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from bench.pictures import Pixels, scene

__all__ = ["draw_photo_like", "prepare_pictures"]

_SIZES = ((2040, 1356), (2040, 1536), (1356, 2040), (2040, 1152))  # the commonest of the set, in turn
_FIRST = 801  # the set's files are 0801.png to 0900.png
# How `make prepare-dataset` of the published benchmark encodes each PNG: vips copy, with these options.
_ENCODERS: dict[str, dict[str, Any]] = {"jpg": {}, "webp": {}, "avif": {"Q": 65, "effort": 0}}


def _noise(width: int, height: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return noise of mean 0 and deviation 1 whose amplitude falls with the frequency, as that of photos does."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    amplitude = (np.hypot(down, across) + 1 / 300) ** -1.5
    amplitude[0, 0] = 0.0
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * amplitude, (height, width))
    spread: npt.NDArray[np.float64] = noise / noise.std()
    return spread


def draw_photo_like(width: int, height: int, seed: int) -> Pixels:
    """Draw RGB pixels that cost an encoder what those of a photo do: about 1.6 bytes a pixel as PNG.

    The amplitudes are those with which results have the weights that the published runs report, a tenth more or less.
    """
    rng = np.random.default_rng(seed)
    light = 28 * _noise(width, height, rng)
    colours = [4 * _noise(width, height, rng) for _ in range(3)]
    pixels = scene(width, height, grain=0.0) + np.stack([light + colour for colour in colours], axis=-1)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def prepare_pictures(directory: Path, images: int, formats: Sequence[str]) -> tuple[list[str], int]:
    """Return the names of the pictures in *directory* without their endings, and how many of them were drawn.

    Without a PNG there, *images* are drawn. Each PNG is encoded in the other *formats* where that file is missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn = 0
    if not any(directory.glob("*.png")):
        drawn = images
        for number in range(images):
            pixels = draw_photo_like(*_SIZES[number % len(_SIZES)], seed=number)
            pyvips.Image.new_from_array(pixels).copy(interpretation="srgb").pngsave(
                str(directory / f"{_FIRST + number:04}.png"), filter="all"
            )
    names = sorted(path.stem for path in directory.glob("*.png"))
    for name in names:
        for extension in formats:
            target = directory / f"{name}.{extension}"
            if not target.exists():
                pyvips.Image.new_from_file(str(directory / f"{name}.png")).write_to_file(
                    str(target), **_ENCODERS[extension]
                )
    return names, drawn
