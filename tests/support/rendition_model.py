"""The pixels of a rendition by the documented rules: rotated, cropped, scaled, cropped, extended, flattened.

The model rotates the picture first, whereas the package computes the gravity before rotation: the two must agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from imgforge.model import Gravity, ProcessingOptions
from tests.support.geometry import Layout, Pair, layout, place
from tests.support.images import Pixels, rotated_by_exif

__all__ = ["Expected", "expected"]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos2": Image.Resampling.LANCZOS,
    "lanczos3": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Expected:
    """The pixels, their layout, and whether they follow exactly (nothing was resampled)."""

    pixels: Pixels
    layout: Layout
    exact: bool


def expected(pixels: Pixels, options: ProcessingOptions, orientation: int = 1) -> Expected:
    """The rendition of *pixels* (RGB or RGBA, 8 bits) that are stored in EXIF *orientation*."""
    if options.auto_rotate is False:
        orientation = 1
    seen = _rotated(rotated_by_exif(pixels, orientation), options)
    sizes = layout(seen.shape[1], seen.shape[0], options)
    crop_gravity = options.crop.gravity if options.crop and options.crop.gravity else options.gravity
    image = _cropped(seen, sizes.cropped, crop_gravity, sizes, dpr=False)
    exact = sizes.scaled == (image.shape[1], image.shape[0])
    image = _scaled(image, sizes.scaled, options.resizing_algorithm)
    image = _cropped(image, sizes.result_crop, options.gravity, sizes, dpr=True)
    image = _extended(image, sizes, options)
    return Expected(_on_background(image, options), sizes, exact)


def _rotated(pixels: Pixels, options: ProcessingOptions) -> Pixels:
    pixels = np.rot90(pixels, -options.rotate // 90)
    pixels = pixels[:, ::-1] if options.flip_horizontal else pixels
    return pixels[::-1] if options.flip_vertical else pixels


def _cropped(pixels: Pixels, size: Pair, gravity: Gravity, sizes: Layout, *, dpr: bool) -> Pixels:
    outer = pixels.shape[1], pixels.shape[0]
    left, top = place(outer, size, gravity, sizes.dpr if dpr else type(sizes.dpr)(1))
    return pixels[top : top + size[1], left : left + size[0]]


def _scaled(pixels: Pixels, size: Pair, algorithm: str) -> Pixels:
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, _FILTERS[algorithm]))


def _with_alpha(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels, np.full(pixels.shape[:2], 255, pixels.dtype)])


def _on_canvas(pixels: Pixels, size: Pair, left: int, top: int) -> Pixels:
    """*pixels* on a transparent canvas."""
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    canvas = np.zeros((size[1], size[0], 4), pixels.dtype)
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = _with_alpha(pixels)
    return canvas


def _extended(pixels: Pixels, sizes: Layout, options: ProcessingOptions) -> Pixels:
    both = (
        (options.extend.enabled, options.extend.gravity),
        (
            options.extend_aspect_ratio.enabled,
            options.extend_aspect_ratio.gravity,
        ),
    )
    for enabled, gravity in both:
        inner = pixels.shape[1], pixels.shape[0]
        if enabled and inner != sizes.extended:
            pixels = _on_canvas(pixels, sizes.extended, *place(sizes.extended, inner, gravity, sizes.dpr))
    return _on_canvas(pixels, sizes.canvas, sizes.padding[3], sizes.padding[0])


def _on_background(pixels: Pixels, options: ProcessingOptions) -> Pixels:
    colour = options.background
    if pixels.shape[2] == 3 or (colour is None and options.format != "jpeg"):
        return pixels
    below = (255, 255, 255) if colour is None else (colour.red, colour.green, colour.blue)
    alpha = pixels[:, :, 3:].astype(float) / 255
    return np.rint(pixels[:, :, :3] * alpha + np.array(below, float) * (1 - alpha)).astype(np.uint8)
