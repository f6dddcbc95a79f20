"""Decoding: by libvips, or by the library of an extra where libvips does not read the format.

What a format needs besides libvips' loader stands in tables by its name: checks before, options, and steps after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvips

from imgforge.errors import NotAnImage
from imgforge.processing.codecs.available_formats import reader
from imgforge.processing.codecs.broken_files import broken
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.codecs.pillow_frames import read_frames
from imgforge.processing.codecs.truncation import tiff_is_complete
from imgforge.processing.containers import check_png, gif_is_complete
from imgforge.processing.metadata import with_credits
from imgforge.processing.pixel_buffers import MOST_PIXELS
from imgforge.processing.resources import Cancellation
from imgforge.processing.vips_image import load

__all__ = ["decode"]


def decode(
    body: bytes,
    name: str,
    cancellation: Cancellation,
    *,
    unlimited: bool = False,
    partial: bool = False,
    most_pixels: float = MOST_PIXELS,
    **options: Any,
) -> Any:
    """The image in *body*, a file of the format *name*; *options* are those of the format's loader.

    *unlimited* lifts the limits other than that of pixels; *partial* accepts a file that ends too early. A library that
    decodes at once decodes no more than *most_pixels*. Raises `NotAnImage` where the file is broken, and
    `SourceTooLarge` beyond a limit.
    """
    codec = reader(name)
    if codec is not None:
        if FORMATS[name].isolated:
            options["cancellation"] = cancellation
        else:
            options["most_pixels"] = most_pixels
        if partial:
            options["partial"] = True
        return codec.load(body, name, **options)
    if name in _CHECKS and not unlimited:
        _CHECKS[name](body)
    if FORMATS[name].animated_by_pillow and "n" in options:
        return read_frames(body, name, options["n"])
    if unlimited:
        options["unlimited"] = True
    try:
        # Truncated files fail rather than end in grey.
        options |= {"access": "sequential", "fail_on": "none" if partial else "truncated"}
        image = load(FORMATS[name].loader, body, **options)
    except pyvips.Error as error:
        raise broken(error, body) from None
    if not partial and name in _COMPLETE and not _COMPLETE[name](body, options.get("page", 0), options.get("n", 1)):
        raise NotAnImage("the source image is broken: it ends too early")
    return _FINISH[name](image, body) if name in _FINISH else image


def _gif_is_complete(body: bytes, _page: int, pages: int) -> bool:
    """A single frame's end is seen by libvips."""
    return pages == 1 or gif_is_complete(body)


def _finish_tiff(image: Any, body: bytes) -> Any:
    return with_credits(_from_light(image), body)


def _from_light(image: Any) -> Any:
    """Grey of floating point is linear light, 0..1, as colours are, but libvips takes it for samples of 0..255."""
    if image.format not in {"float", "double"} or image.interpretation not in {"b-w", "grey16"}:
        return image
    light = image.extract_band(0)
    grey = light.bandjoin([light, light]).colourspace("grey16", source_space="scrgb")
    if image.bands > 1:
        grey = grey.bandjoin((image.extract_band(1) * 65535.0).cast("ushort"))
    grey = grey.copy(interpretation="grey16")
    grey.remove("icc-profile-data")  # the profile describes the light
    return grey


# Raise where the file asks for too much before a pixel is read.
_CHECKS: dict[str, Callable[[bytes], None]] = {"png": check_png}
# Whether the file goes to its end, where `fail_on` does not see it; the numbers are the first page and how many.
_COMPLETE: dict[str, Callable[[bytes, int, int], bool]] = {"tiff": tiff_is_complete, "gif": _gif_is_complete}
# What libvips leaves out of the format.
_FINISH: dict[str, Callable[[Any, bytes], Any]] = {"tiff": _finish_tiff}
