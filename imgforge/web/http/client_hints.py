"""Client hints: how wide a client shows an image, and its device pixel ratio.

They set the options that the URL and its presets leave open, as imgproxy documents it: `Width` (device pixels) divided
by `DPR` sets `width`, and `DPR` sets `dpr`. Headers are not signed, so both are rounded up, which bounds the number of
variants of a URL, and neither makes a result larger than the limit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from twisted.web.server import Request

from imgforge.model import NO_HINTS, Hints, ImageRequest, ProcessingOptions
from imgforge.web.http.request_headers import joined_header

__all__ = ["HINTS", "AppliedHints", "ClientHints", "hints_in"]

# The newer name of each takes precedence.
HINTS = (b"sec-ch-dpr", b"dpr", b"sec-ch-width", b"width")
_VARY_NAMES = {b"sec-ch-dpr": b"Sec-CH-DPR", b"dpr": b"DPR", b"sec-ch-width": b"Sec-CH-Width", b"width": b"Width"}

_NUMBER = re.compile(rb"[0-9]{1,12}(?:\.[0-9]{0,12})?\Z")
_MOST_DPR = 8.0  # imgproxy's
_STEPS = 4  # per unit of the ratio
_GRID = 10  # pixels of the width
_WIDEST = 16384  # pixels, if results have no limit


@dataclass(frozen=True, slots=True)
class AppliedHints:
    """The hints of a request, as applied to its URL."""

    used: Hints = NO_HINTS  # those that set an option
    vary: tuple[bytes, ...] = ()  # the headers that the response depends on
    sent: Hints | None = None  # the client's own, rounded; None if no hint can make a difference


@dataclass(frozen=True, slots=True)
class ClientHints:
    """Whether hints are applied, and the longest side of a result in pixels (0: unlimited)."""

    enabled: bool = False
    longest_side: int = 0

    def of(self, request: Request, image: ImageRequest) -> AppliedHints:
        """The hints of *request*, applied to the options that *image* leaves open."""
        if not self.enabled or not image.unset:
            return AppliedHints()
        return self.applied(hints_in(*(joined_header(request, name) for name in HINTS)), image)

    def applied(self, sent: Hints, image: ImageRequest) -> AppliedHints:
        """The hints that a client has *sent*, applied to the options that *image* leaves open."""
        if not self.enabled or not image.unset:
            return AppliedHints()
        decide = HINTS if "width" in image.unset else HINTS[:2]
        longest = self.longest_side or _WIDEST
        width = 0
        if sent.width and "width" in image.unset:
            width = max(1, math.floor(min(sent.width, longest) / (sent.dpr or 1.0) + 0.5))
        dpr = sent.dpr if "dpr" in image.unset else 0.0
        if dpr > 1:
            dpr = max(1.0, min(dpr, longest / max(1.0, _longest(image.options, width))))
        return AppliedHints(Hints(width, dpr), tuple(_VARY_NAMES[name] for name in decide), sent)


def hints_in(sec_ch_dpr: bytes, dpr: bytes, sec_ch_width: bytes, width: bytes) -> Hints:
    """The rounded hints of headers with these values; a value that is not a positive number is ignored."""
    ratio = _number(sec_ch_dpr) or _number(dpr)
    pixels = _number(sec_ch_width, whole=True) or _number(width, whole=True)
    return Hints(math.ceil(pixels / _GRID) * _GRID, min(math.ceil(ratio * _STEPS) / _STEPS, _MOST_DPR))


def _number(value: bytes, *, whole: bool = False) -> float:
    return float(value) if _NUMBER.match(value) and not (whole and b"." in value) else 0.0


def _longest(options: ProcessingOptions, width: int) -> float:
    """The longest side, in pixels before dpr, that *options* may ask for."""
    padding = options.padding
    across, down = (0, 0) if padding is None else (padding.left + padding.right, padding.top + padding.bottom)
    return max(
        max(options.width or width, options.min_width) * options.zoom_x + across,
        max(options.height, options.min_height) * options.zoom_y + down,
    )
