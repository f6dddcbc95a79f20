"""PDF by way of PDFium: pages drawn on white or nothing, in the size that is wanted, one point a pixel unless told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyvips

from imgforge.errors import SourceTooLarge
from imgforge.processing.isolation import decode_isolated
from imgforge.processing.resources import Cancellation

__all__ = ["load"]

_MOST_PAGES = 100  # drawn at once
_WHITE = (255, 255, 255, 255)


def load(
    body: bytes,
    name: str,
    *,
    page: int = 0,
    n: int = 1,
    scale: float = 1.0,
    background: Sequence[int] = _WHITE,
    cancellation: Cancellation | None = None,
) -> Any:
    """The *n* pages of *body* from *page* on, below one another, *scale* times their own size.

    A *background* whose fourth number is 0 gives them an alpha; else it is white.
    """
    if n > _MOST_PAGES:
        raise SourceTooLarge(f"of a {name} at most {_MOST_PAGES} pages are drawn at once")
    clear = background[3] == 0
    pages, count = decode_isolated(
        body, name, page, n, scale, int(clear), enlarged=scale > 1, cancellation=cancellation
    )
    image = pages[0].copy()
    for below in pages[1:]:
        image = image.join(below, "vertical", expand=True, background=background[: image.bands])
    image.set_type(pyvips.GValue.gint_type, "n-pages", count)
    return image
