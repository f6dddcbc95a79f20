"""Pictures that tests draw, and how they read the server's."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

__all__ = ["decode", "encode", "gradient"]


def gradient(width: int, height: int) -> Image.Image:
    """Red grows from left to right and green from top to bottom, so that a colour tells where it came from."""
    across = np.linspace(0, 255, width, dtype=np.float64)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height, dtype=np.float64)[:, None].repeat(width, 1)
    pixels = np.stack([across, down, np.full_like(across, 128)], axis=-1)
    return Image.fromarray(pixels.round().astype(np.uint8), "RGB")


def encode(image: Image.Image, format_name: str, **options: object) -> bytes:
    """*image* as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def decode(body: bytes) -> Image.Image:
    """The picture in a file, fully decoded."""
    image = Image.open(io.BytesIO(body))
    image.load()
    return image
