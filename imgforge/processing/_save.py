"""Encoding: what each format's saver is told, and the search for a quality that meets a size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvips

from imgforge.processing._formats import FORMATS
from imgforge.processing._rounding import half_away
from imgforge.processing._settings import ProcessingSettings
from imgforge.processing._state import State

__all__ = ["save"]

# Formats whose encoders refuse smaller pictures.
_SMALLEST_AVIF = 16
_LEAST_QUALITY = 10

Options = dict[str, Any]


def _jpeg(settings: ProcessingSettings, _: Any) -> Options:
    return {"interlace": settings.jpeg_progressive}


def _png(settings: ProcessingSettings, image: Any) -> Options:
    """A palette stays a palette, of its own depth; the rest tries all filters, which is smallest."""
    options: Options = {"interlace": settings.png_interlaced}
    depth = _depth_of(settings.png_quantization_colors) if settings.png_quantize else _palette_depth(image)
    if not depth:
        return options | {"filter": "all"}
    return options | {"filter": "none", "palette": True, "bitdepth": depth}


def _webp(settings: ProcessingSettings, _: Any) -> Options:
    return {"effort": settings.webp_effort, "preset": settings.webp_preset}


def _avif(settings: ProcessingSettings, _: Any) -> Options:
    return {"effort": 9 - settings.avif_speed}


def _gif(_: ProcessingSettings, image: Any) -> Options:
    return {"bitdepth": _palette_depth(image) or 8}


def _jxl(settings: ProcessingSettings, _: Any) -> Options:
    return {"effort": settings.jxl_effort}


_OPTIONS: dict[str, Callable[[ProcessingSettings, Any], Options]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "gif": _gif,
    "jxl": _jxl,
}


def _depth_of(colours: int) -> int:
    """The bits that an index into so many colours takes, as PNG has them."""
    return next(bits for bits in (1, 2, 4, 8) if colours <= 1 << bits)


def _palette_depth(image: Any) -> int:
    """The depth of the source's palette, rounded up to what encoders take; 0 for none."""
    if not (image.get_typeof("palette") and image.get("palette")):
        return 0
    bits = image.get("bits-per-sample") if image.get_typeof("bits-per-sample") else 8
    return next((one for one in (1, 2, 4, 8) if bits <= one), 0)


def save(state: State) -> bytes:
    """Encode; small AVIFs become PNG or JPEG. `pyvips.Error` where decoding or encoding fails."""
    image = state.image
    if state.format_name == "avif" and min(image.width, image.height) < _SMALLEST_AVIF:
        state.format_name = "png" if image.hasalpha() else "jpeg"
    quality = state.settings.quality_of(state.format_name, state.options)
    if state.options.max_bytes and state.format.quality:
        return _fitted(state, quality, state.options.max_bytes)
    return _encoded(state, quality)


def _encoded(state: State, quality: int) -> bytes:
    one = FORMATS[state.format_name]
    options = _OPTIONS[state.format_name](state.settings, state.image) if state.format_name in _OPTIONS else {}
    if one.quality:
        options["Q"] = quality
    image = state.cancellation.watch(state.image)
    return bytes(pyvips.Operation.call(one.saver, image, **one.saver_options, **options))


def _fitted(state: State, quality: int, target: int) -> bytes:
    """Lower the quality, faster the further away the size is, until it fits or cannot be lowered usefully."""
    state.to_memory()
    while True:
        body = _encoded(state, quality)
        if len(body) <= target or quality <= _LEAST_QUALITY:
            return body
        state.cancellation.check()
        excess = len(body) / target
        factor = 0.25 if excess > 3 else 0.5 if excess > 1.5 else 0.75
        quality = max(1, min(quality - 1, half_away(quality * factor)))
