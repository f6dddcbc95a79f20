"""Texts as pictures, in Pango markup.

A line of markup can ask for a picture of gigabytes, and libvips makes it at once. So a text is drawn small first, which
takes a small fraction of the memory, and full-sized only if that will be bearable. For this to tell anything, all
sizes have to follow the resolution; what does not is bounded or refused.
"""

from __future__ import annotations

import math
import re
from typing import Any

import pyvips
from lxml import etree

from imgforge.errors import BadOption, ResultTooLarge

__all__ = ["drawn", "enlarged"]

_FONT = "sans 16"
_DPI = 96
_TRIAL = 8  # times smaller
_LONGEST = 1000  # characters
_MOST_PIXELS = 25_000_000

_PIXEL_SIZE = re.compile(r"\dpx", re.IGNORECASE)
# These take 1024ths of a pixel, and four digits are ten pixels.
_ABSOLUTE = frozenset({"letter_spacing", "line_height", "rise", "baseline_shift"})
_TOO_MANY_DIGITS = re.compile(r"\d{5}")


def drawn(text: str) -> Any:
    """*text* in RGBA, black unless its markup says otherwise.

    Raises `BadOption` for markup that cannot be drawn, `ResultTooLarge` for more than some megapixels.
    """
    text = text[:_LONGEST]
    _check_sizes(text)
    trial = _drawn(text, _DPI // _TRIAL)
    width, height = trial.width * _TRIAL, trial.height * _TRIAL
    if width * height > _MOST_PIXELS:
        raise ResultTooLarge(f"the watermark's text would be some {width}x{height} pixels large")
    return _drawn(text, _DPI)


def enlarged(text: str, image: Any, times: float) -> Any:
    """What `drawn` made of *text*, *image*, drawn anew so many *times* larger, or as large as a text may be."""
    most = math.sqrt(_MOST_PIXELS / (image.width * image.height))
    return _drawn(text[:_LONGEST], max(_DPI, math.floor(_DPI * min(times, most))))


def _check_sizes(text: str) -> None:
    try:
        root: Any = etree.fromstring(
            f"<markup>{text}</markup>", etree.XMLParser(resolve_entities=False, no_network=True)
        )
    except (etree.XMLSyntaxError, ValueError):
        raise _unreadable() from None
    for element in root.iter():
        for name, value in element.attrib.items():
            if _PIXEL_SIZE.search(re.sub(r"\s", "", value)) or (name in _ABSOLUTE and _TOO_MANY_DIGITS.search(value)):
                raise BadOption(f"the watermark's text has a {name} that is not allowed: sizes are in points")


def _drawn(text: str, dpi: int) -> Any:
    try:
        return pyvips.Image.text(text, font=_FONT, rgba=True, dpi=dpi)
    except pyvips.Error:
        raise _unreadable() from None


def _unreadable() -> BadOption:
    return BadOption("the watermark's text cannot be drawn: it is no valid Pango markup, or empty")
