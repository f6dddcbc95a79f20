"""Client hints: how wide a client shows an image, and how many pixels its screen has for one of the page's.

They stand in for what the URL leaves open, as imgproxy documents it: `Width` (pixels of the screen) is divided by `DPR`
and gives `width`, `DPR` gives `dpr`. Whatever the URL or a preset says goes before. Nobody signs a header: so that few
variants of a URL can be asked for, both are rounded up, and neither leads beyond the limit on results.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from twisted.web.server import Request

from imgforge.model import NO_HINTS, Hints, ImageRequest, ProcessingOptions
from imgforge.web.http.request_headers import joined_header

__all__ = ["HINTS", "ClientHints", "Hinted", "hints_in"]

# The newer name of each goes first.
HINTS = (b"sec-ch-dpr", b"dpr", b"sec-ch-width", b"width")
_SHOWN = {b"sec-ch-dpr": b"Sec-CH-DPR", b"dpr": b"DPR", b"sec-ch-width": b"Sec-CH-Width", b"width": b"Width"}

_NUMBER = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,12})?\Z")
_MOST_DPR = 8.0  # imgproxy's
_STEPS = 4  # of the ratio, between two whole numbers
_GRID = 10  # pixels of the width
_WIDEST = 16384  # where results have no limit


@dataclass(frozen=True, slots=True)
class Hinted:
    """What the hints of a request come to: those that are `used`, the headers that decide it, and what these said.

    `said` is None where no hint can make a difference.
    """

    used: Hints = NO_HINTS
    vary: tuple[bytes, ...] = ()
    said: Hints | None = None


@dataclass(frozen=True, slots=True)
class ClientHints:
    """The operator's choice; no side of a result is longer than *most* pixels, 0 is no limit."""

    enabled: bool = False
    most: int = 0

    def of(self, request: Request, image: ImageRequest) -> Hinted:
        """The hints of *request* that *image* leaves room for."""
        if not self.enabled or not image.unset:
            return Hinted()
        said = hints_in(*(joined_header(request, name) for name in HINTS))
        decide = HINTS if "width" in image.unset else HINTS[:2]
        most = self.most or _WIDEST
        width = 0
        if said.width and "width" in image.unset:
            width = max(1, math.floor(min(said.width, most) / (said.dpr or 1.0) + 0.5))
        dpr = said.dpr if "dpr" in image.unset else 0.0
        if dpr > 1:
            dpr = max(1.0, min(dpr, most / max(1.0, _longest(image.options, width))))
        return Hinted(Hints(width, dpr), tuple(_SHOWN[name] for name in decide), said)


def hints_in(sec_ch_dpr: bytes, dpr: bytes, sec_ch_width: bytes, width: bytes) -> Hints:
    """What headers with these values say, rounded; one that is no positive number says nothing."""
    ratio = _number(sec_ch_dpr) or _number(dpr)
    pixels = _number(sec_ch_width, whole=True) or _number(width, whole=True)
    return Hints(math.ceil(pixels / _GRID) * _GRID, min(math.ceil(ratio * _STEPS) / _STEPS, _MOST_DPR))


def _number(value: bytes, *, whole: bool = False) -> float:
    return float(value) if _NUMBER.match(value) and not (whole and b"." in value) else 0.0


def _longest(options: ProcessingOptions, width: int) -> float:
    """The longest side, before dpr, that a result of *options* may be asked to have."""
    padding = options.padding
    across, down = (0, 0) if padding is None else (padding.left + padding.right, padding.top + padding.bottom)
    return max(
        max(options.width or width, options.min_width) * options.zoom_x + across,
        max(options.height, options.min_height) * options.zoom_y + down,
    )
