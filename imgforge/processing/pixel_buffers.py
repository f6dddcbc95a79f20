"""Buffers of pixels that another library has decoded, as images of libvips."""

from __future__ import annotations

from typing import Any

import pyvips

from imgforge.errors import SourceTooLarge

__all__ = ["MOST_PIXELS", "check_pixels", "from_pixels"]

# These libraries decode into memory at once: 400 MB of RGBA at most, whatever the operator allows.
MOST_PIXELS = 100_000_000


def check_pixels(width: int, height: int, pages: int = 1, most: float = MOST_PIXELS) -> None:
    """Raises `SourceTooLarge` for more than *most* pixels, or more than can be decoded into memory at once."""
    if width * height * pages > min(most, MOST_PIXELS):
        if most < MOST_PIXELS:
            raise SourceTooLarge(f"the source has more than {most / 1_000_000:g} megapixels ({width}x{height})")
        raise SourceTooLarge(f"the source has too many pixels ({width}x{height}, {pages} of them)")


def from_pixels(pixels: Any, width: int, height: int, bands: int, *, deep: bool = False) -> Any:
    """The buffer *pixels*, of 8 or 16 bits a sample, as an sRGB or grey image in libvips' own memory."""
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, "ushort" if deep else "uchar")
    colours = ("grey16" if deep else "b-w") if bands < 3 else ("rgb16" if deep else "srgb")
    # Python frees its memory; of the foreign buffer itself copy_memory would make no copy.
    return image.copy(interpretation=colours).copy_memory()
