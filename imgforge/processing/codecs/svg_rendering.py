"""SVG: cleaned before it is drawn, and drawn in a process of its own where that may take long or much memory."""

from __future__ import annotations

from typing import Any

import pyvips

from imgforge.processing.codecs.broken_files import broken
from imgforge.processing.codecs.svg import sanitised, unpacked
from imgforge.processing.codecs.svg_cost import LARGE, SvgCost
from imgforge.processing.isolation import clean_isolated, decode_isolated, size_only
from imgforge.processing.resources import Cancellation

__all__ = ["clean", "draw", "measure"]

_DPI = 96.0  # dots per inch, as in browsers
_LIBVIPS_DPI = 72  # dots per inch, at which a scale of 1 draws a pixel for each


def clean(document: bytes, style: str, cancellation: Cancellation, *, unlimited: bool) -> bytes:
    """*document* without what is dangerous in it, with the CSS *style*; large ones are cleaned in a process."""
    if document[:2] == b"\x1f\x8b":
        document, unlimited = unpacked(document), False
    if len(document) > LARGE:
        return clean_isolated(document, style, unlimited=unlimited, cancellation=cancellation)
    return sanitised(document, style, unlimited=unlimited)


def draw(body: bytes, cost: SvgCost, cancellation: Cancellation, scale: float = 1.0, *, unlimited: bool = False) -> Any:
    """The document *scale* times its size: drawn when its pixels are read, or by a process if that may cost much."""
    image = _opened(body, scale, unlimited=unlimited) if cost.measured else None
    if image is not None and image.width * image.height <= cost.pixels:
        return image
    return _isolated(body, cancellation, scale, drawn=True, unlimited=unlimited)


def measure(
    body: bytes, cost: SvgCost, cancellation: Cancellation, scale: float = 1.0, *, unlimited: bool = False
) -> tuple[Any, bool]:
    """An image of the document's size, and whether it has only that and not the pixels, which `draw` gives."""
    if not cost.measured:
        return _isolated(body, cancellation, scale, drawn=False, unlimited=unlimited), True
    image = _opened(body, scale, unlimited=unlimited)
    if image.width * image.height <= cost.pixels:
        return image, False
    return size_only(image.width, image.height), True


def _opened(body: bytes, scale: float, *, unlimited: bool) -> Any:
    """The document, of which nothing is drawn yet."""
    options = {"access": "sequential", "fail_on": "truncated", "unlimited": unlimited}
    try:
        return pyvips.Image.svgload_buffer(body, dpi=_DPI, scale=scale * _LIBVIPS_DPI / _DPI, **options)
    except pyvips.Error as error:
        raise broken(error, body) from None


def _isolated(body: bytes, cancellation: Cancellation, scale: float, *, drawn: bool, unlimited: bool) -> Any:
    images, _ = decode_isolated(
        body,
        "svg",
        _DPI,
        scale * _LIBVIPS_DPI / _DPI,
        int(drawn),
        int(unlimited),
        enlarged=scale > 1,
        cancellation=cancellation,
    )
    return images[0]
