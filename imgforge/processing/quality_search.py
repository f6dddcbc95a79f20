"""The search for a quality: the file shall be small enough, or the picture similar enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvips

from imgforge.model import AutoQuality
from imgforge.processing.codecs import FORMATS, reader
from imgforge.processing.rounding import half_away

__all__ = ["fit_max_bytes", "search_quality"]

Encode = Callable[[int], bytes]

_LEAST_QUALITY = 10
# Constants of the structural similarity (Wang et al. 2004) for samples of 0..255.
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_WINDOW_SIGMA = 1.5


def fit_max_bytes(encode: Encode, quality: int, target: int) -> bytes:
    """The file of at most *target* bytes, or the smallest useful one; quality falls faster the larger the excess."""
    while True:
        body = encode(quality)
        if len(body) <= target or quality <= _LEAST_QUALITY:
            return body
        excess = len(body) / target
        factor = 0.25 if excess > 3 else 0.5 if excess > 1.5 else 0.75
        quality = max(1, min(quality - 1, half_away(quality * factor)))


def search_quality(encode: Encode, image: Any, format_name: str, wanted: AutoQuality) -> bytes:
    """The file that a bisection between the least and the greatest quality finds.

    Method size: the greatest quality whose file has at most *target* bytes. Method dssim: the least quality whose
    structural distance from *image*, (1 - SSIM) / 2, is at most the target plus the allowed error.
    """
    low, high = wanted.minimum, max(wanted.minimum, wanted.maximum)
    best = encode(high if wanted.method == "dssim" else low)
    while low <= high:
        middle = (low + high) // 2
        body = encode(middle)
        if wanted.method == "size":
            if len(body) <= wanted.target:
                best, low = body, middle + 1
            else:
                high = middle - 1
        elif _distance(image, body, format_name) <= wanted.target + wanted.allowed_error:
            best, high = body, middle - 1
        else:
            low = middle + 1
    return best


def _distance(image: Any, body: bytes, format_name: str) -> float:
    """(1 - SSIM) / 2 of the luminance of *image* and of the decoded *body* (Wang et al. 2004): 0 for equal images."""
    codec = reader(format_name)
    if codec is not None:
        decoded = codec.load(body, format_name)
    else:
        decoded = pyvips.Operation.call(FORMATS[format_name].loader, body)
    first, second = _luminance(image), _luminance(decoded)
    mean1, mean2 = first.gaussblur(_WINDOW_SIGMA), second.gaussblur(_WINDOW_SIGMA)
    variance1 = (first * first).gaussblur(_WINDOW_SIGMA) - mean1 * mean1
    variance2 = (second * second).gaussblur(_WINDOW_SIGMA) - mean2 * mean2
    covariance = (first * second).gaussblur(_WINDOW_SIGMA) - mean1 * mean2
    similarity = ((mean1 * mean2 * 2 + _C1) * (covariance * 2 + _C2)) / (
        (mean1 * mean1 + mean2 * mean2 + _C1) * (variance1 + variance2 + _C2)
    )
    return float((1 - similarity.avg()) / 2)


def _luminance(image: Any) -> Any:
    if image.hasalpha():
        image = image.flatten(background=[255] * (image.bands - 1))
    return image.colourspace("b-w").cast("float").extract_band(0)
