"""Encoding: the options of each format's saver, and the search for a quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imgforge.processing.codecs import FORMATS, writer
from imgforge.processing.metadata import write_credits
from imgforge.processing.quality_search import fit_max_bytes, search_quality
from imgforge.processing.settings import chosen
from imgforge.processing.state import State
from imgforge.processing.vips_image import encode

__all__ = ["save"]

# Formats whose encoders refuse smaller pictures.
_SMALLEST_AVIF = 16
# How many bits an index into a palette has in PNG; GIF takes each number up to the last.
_PNG_DEPTHS = (1, 2, 4, 8)
_DEEPEST_PALETTE = 8
_MEGA = 1_000_000

Options = dict[str, Any]


def _jpeg(state: State) -> Options:
    settings, url = state.settings, state.options.jpeg_options
    options: Options = {
        "interlace": chosen(url.progressive, settings.jpeg_progressive),
        "trellis_quant": chosen(url.trellis_quant, settings.jpeg_trellis_quant),
        "overshoot_deringing": chosen(url.overshoot_deringing, settings.jpeg_overshoot_deringing),
        "optimize_scans": chosen(url.optimize_scans, settings.jpeg_optimize_scans),
        "quant_table": chosen(url.quant_table, settings.jpeg_quant_table),
    }
    if chosen(url.no_subsample, settings.jpeg_no_subsample):
        options["subsample_mode"] = "off"
    # libvips warns of each option that its JPEG library lacks: only those that differ from its defaults are given.
    return {name: value for name, value in options.items() if value}


def _png(state: State) -> Options:
    """A palette stays a palette, of its own depth; the rest tries all filters, which is smallest."""
    settings, url = state.settings, state.options.png_options
    options: Options = {"interlace": chosen(url.interlaced, settings.png_interlaced)}
    if chosen(url.quantize, settings.png_quantize):
        depth = _depth_of(chosen(url.colors, settings.png_quantization_colors))
    else:
        depth = _palette_depth(state.image)
    if not depth:
        return options | {"filter": "all"}
    depth = next(bits for bits in _PNG_DEPTHS if depth <= bits)
    return options | {"filter": "none", "palette": True, "bitdepth": depth}


def _webp(state: State) -> Options:
    settings, url = state.settings, state.options.webp_options
    preset = url.preset if url.preset in WEBP_PRESETS else settings.webp_preset
    options: Options = {"effort": settings.webp_effort, "preset": preset}
    compression = chosen(url.compression, settings.webp_compression)
    if compression != "lossy":
        options[compression] = True
    if chosen(url.smart_subsample, settings.webp_smart_subsample):
        options["smart_subsample"] = True
    return options


def _avif(state: State) -> Options:
    options: Options = {"effort": 9 - state.settings.avif_speed}
    subsample = chosen(state.options.avif_options.subsample, state.settings.avif_subsample)
    return options if subsample == "auto" else options | {"subsample_mode": subsample}


def _gif(state: State) -> Options:
    return {"bitdepth": _palette_depth(state.image) or 8}


def _jxl(state: State) -> Options:
    return {"effort": state.settings.jxl_effort}


_OPTIONS: dict[str, Callable[[State], Options]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "gif": _gif,
    "jxl": _jxl,
}
WEBP_PRESETS = ("default", "picture", "photo", "drawing", "icon", "text")


def _depth_of(colours: int) -> int:
    """The bits that an index into so many colours takes."""
    return (colours - 1).bit_length()


def _palette_depth(image: Any) -> int:
    """The depth of the source's palette; 0 for none."""
    if not (image.get_typeof("palette") and image.get("palette")):
        return 0
    bits = image.get("bits-per-sample") if image.get_typeof("bits-per-sample") else 8
    return bits if 0 < bits <= _DEEPEST_PALETTE else 0


def save(state: State) -> bytes:
    """Encode; small AVIFs become PNG or JPEG. `pyvips.Error` where decoding or encoding fails."""
    image = state.image
    if state.format_name == "avif" and min(image.width, image.height) < _SMALLEST_AVIF:
        state.format_name = "png" if image.hasalpha() else "jpeg"
    quality = state.settings.quality_of(state.format_name, state.options)
    wanted = state.settings.search_of(state.format_name, state.options, image.width * image.height / _MEGA)
    if state.format.quality and (state.options.max_bytes or wanted.method != "none"):
        state.to_memory()  # it is encoded several times

        def encode(quality: int) -> bytes:
            state.cancellation.check()
            return _encoded(state, quality)

        if state.options.max_bytes:
            return fit_max_bytes(encode, quality, state.options.max_bytes)
        return search_quality(encode, state.image, state.format_name, wanted)
    return _encoded(state, quality)


def _encoded(state: State, quality: int) -> bytes:
    one = FORMATS[state.format_name]
    options = _OPTIONS[state.format_name](state) if state.format_name in _OPTIONS else {}
    if one.quality:
        options["Q"] = quality
    image = state.cancellation.watch(state.image)
    codec = writer(state.format_name)
    if codec is not None and codec.save is not None:
        return codec.save(image, state.format_name, **options)
    body = encode(one.saver, image, **one.saver_options, **options)
    return write_credits(image, body) if state.format_name == "tiff" else body
