"""Watermark texts as pictures, in Pango markup.

A line of markup can ask for a picture of gigabytes, which libvips allocates at once. So a text is drawn small first,
which takes a small fraction of the memory, and in full size only if that is bearable. The trial predicts the full size
only where all sizes follow the resolution: absolute sizes are bounded or rejected.
"""

from __future__ import annotations

import math
import re
from typing import Any

import pyvips

from imgforge.errors import BadOption, ResultTooLarge
from imgforge.processing.lxml_on_demand import etree

__all__ = ["draw_text", "draw_text_enlarged"]

_FONT = "sans 16"
_DPI = 96
_TRIAL_SHRINK = 8
_MAX_CHARACTERS = 1000
_MAX_PIXELS = 25_000_000

_PIXEL_SIZE = re.compile(r"\dpx", re.IGNORECASE)
# Attributes in 1024ths of a pixel: four digits are ten pixels.
_ABSOLUTE = frozenset({"letter_spacing", "line_height", "rise", "baseline_shift"})
_TOO_MANY_DIGITS = re.compile(r"\d{5}")


def draw_text(text: str) -> Any:
    """The first 1000 characters of *text* as an RGBA image, black unless the markup says otherwise.

    Raises `BadOption` for markup that cannot be drawn, `ResultTooLarge` for more than 25 megapixels.
    """
    text = text[:_MAX_CHARACTERS]
    _check_sizes(text)
    trial = _draw(text, _DPI // _TRIAL_SHRINK)
    width, height = trial.width * _TRIAL_SHRINK, trial.height * _TRIAL_SHRINK
    if width * height > _MAX_PIXELS:
        raise ResultTooLarge(f"the watermark's text would be some {width}x{height} pixels large")
    return _draw(text, _DPI)


def draw_text_enlarged(text: str, image: Any, scale: float) -> Any:
    """*text*, which `draw_text` drew as *image*, drawn *scale* times larger, at most to 25 megapixels."""
    largest = math.sqrt(_MAX_PIXELS / (image.width * image.height))
    return _draw(text[:_MAX_CHARACTERS], max(_DPI, math.floor(_DPI * min(scale, largest))))


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


def _draw(text: str, dpi: int) -> Any:
    try:
        return pyvips.Image.text(text, font=_FONT, rgba=True, dpi=dpi)
    except pyvips.Error:
        raise _unreadable() from None


def _unreadable() -> BadOption:
    return BadOption("the watermark's text cannot be drawn: it is empty or not valid Pango markup")
