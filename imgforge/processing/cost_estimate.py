"""An estimate of the seconds that one rendition takes, known before anything is read: for the order of waiting work.

It was fitted to the pictures of bench/trace.py, on one CPU: from bytes and sizes alone nine tenths of them take between
0.8 and 1.2 of it. Where it is far off (a small file of many pixels, an animation) the work shows it soon.
"""

from __future__ import annotations

from collections.abc import Sequence

from imgforge.model import ProcessingOptions
from imgforge.processing.settings import ProcessingSettings

__all__ = ["estimated_seconds"]

_CALL = 2.7e-3
_SOURCE_BYTE = 1e-8
# A photo has so many pixels for each of its bytes at most, and its result no more, unless it is enlarged.
_PIXELS_PER_BYTE = 16
_PIXEL = {
    "jpeg": 9e-9,
    "tiff": 9e-9,
    "bmp": 9e-9,
    "webp": 7e-8,
    "png": 9e-8,
    "avif": 6.4e-8,
    "jxl": 4.5e-8,
    "gif": 7e-7,
}
_OTHER_PIXEL = 7e-8
_FASTEST_AVIF = 8  # the speeds from here on take as long
_AVIF_STEP = 2.05  # so much longer takes each slower speed
_SEVERAL = 4  # encoders run, on an average, for a size, a quality or the best format to be found


def estimated_seconds(
    size: int,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    *,
    chained: Sequence[ProcessingOptions] = (),
    accepted: Sequence[str] = (),
) -> float:
    """The seconds for a source of *size* bytes; the arguments are those of `process`."""
    last = chained[-1] if chained else options
    name = next(iter(accepted), None) or last.format or "jpeg"
    pixel = _PIXEL.get(name, _OTHER_PIXEL)
    if name == "avif":
        pixel *= _AVIF_STEP ** max(0, _FASTEST_AVIF - settings.avif_speed)
    searched = (last.autoquality.method or settings.autoquality.method) != "none"
    if last.max_bytes or searched or name == "best":
        pixel *= _SEVERAL
    return _CALL + size * _SOURCE_BYTE + _pixels(size, last) * pixel


def _pixels(size: int, options: ProcessingOptions) -> float:
    """The pixels of the result, at most."""
    most = float(size * _PIXELS_PER_BYTE)
    width, height = options.width or options.height, options.height or options.width
    if not width:
        return most
    scale = options.dpr**2 * options.zoom_x * options.zoom_y
    asked = width * height * scale
    return asked if options.enlarge else min(asked, most)
