"""SVG: cleaned before it is drawn, and drawn in a process of its own where that may take long or much memory."""

from __future__ import annotations

import contextlib
from typing import Any

import pyvips

from imgforge.processing.codecs.svg import sanitised, unpacked
from imgforge.processing.codecs.svg_cost import LARGE, SMALL, SvgCost
from imgforge.processing.isolation import clean_isolated, decode_isolated, size_only
from imgforge.processing.pixel_buffers import from_pixels
from imgforge.processing.resources import Cancellation

__all__ = ["clean", "draw_isolated", "loader_options"]

_DPI = 96.0  # dots per inch, as in browsers
_LIBVIPS_DPI = 72  # at which libvips' scale is 1


def clean(document: bytes, style: str, cancellation: Cancellation, *, unlimited: bool) -> bytes:
    """*document* without what is dangerous in it, with the CSS *style*; large ones are cleaned in a process."""
    if document[:2] == b"\x1f\x8b":
        document, unlimited = unpacked(document), False
    if len(document) > LARGE:
        return clean_isolated(document, style, unlimited=unlimited, cancellation=cancellation)
    return sanitised(document, style, unlimited=unlimited)


def loader_options(options: dict[str, Any]) -> dict[str, Any]:
    """libvips' options that draw a document `scale` (1 by default) times the size that browsers give it."""
    return {"dpi": _DPI, "scale": options.get("scale", 1.0) * _LIBVIPS_DPI / _DPI}


def draw_isolated(
    body: bytes,
    cost: SvgCost,
    cancellation: Cancellation,
    scale: float = 1.0,
    *,
    drawn: bool = True,
    unlimited: bool = False,
) -> Any:
    """The document *scale* times its size; without pixels, to tell the size alone, where it is not to be *drawn*.

    What is cheap by *cost* is done here after all: to read a size that is stated, and to draw a small picture.
    """
    options = loader_options({"scale": scale})
    if not unlimited and (cost.measured if not drawn else cost.drawn_small):
        with contextlib.suppress(pyvips.Error):  # the process says what is wrong
            image = pyvips.Image.svgload_buffer(body, **options, access="sequential")
            if not drawn:
                return size_only(image.width, image.height)
            if image.width * image.height <= SMALL:
                return from_pixels(image.write_to_memory(), image.width, image.height, image.bands)
    images, _ = decode_isolated(
        body,
        "svg",
        options["dpi"],
        options["scale"],
        int(drawn),
        int(unlimited),
        enlarged=scale > 1,
        cancellation=cancellation,
    )
    return images[0]
