"""The watermark, laid over the finished picture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pyvips

from imgforge.errors import BadOption
from imgforge.model import Gravity, ProcessingOptions, Watermark
from imgforge.processing._canvas import turn
from imgforge.processing._colour import interpretation, to_processing_colours
from imgforge.processing._gravity import position
from imgforge.processing._load import Original, open_original
from imgforge.processing._resize import scale, scale_on_load
from imgforge.processing._rounding import half_even
from imgforge.processing._state import State, start

__all__ = ["watermark", "watermarked"]

# Positions that fill the picture: in rows, or like the black fields of a chessboard.
_TILED = frozenset({"re", "ch"})
_FONT = "sans 16"
_LONGEST_TEXT = 1000
_WIDEST_SHADOW = 100.0

# The watermark itself runs through these.
_STAGES = (scale_on_load, to_processing_colours, scale, turn)


def watermark(state: State) -> None:
    """Lay it over one picture."""
    state.image = watermarked(state, state.image, 1)


def watermarked(state: State, image: Any, frames: int) -> Any:
    """*image* with the watermark on each of its *frames*, which lie below one another."""
    wanted = state.options.watermark
    if wanted is None or not wanted.opacity or (state.watermark is None and not state.options.watermark_text):
        return image
    width, height = image.width, image.height // frames
    mark = _prepared(state, wanted, width, height)
    opacity = wanted.opacity * state.settings.watermark_opacity
    if opacity < 1:
        mark = mark * [*[1.0] * (mark.bands - 1), opacity]
    if wanted.position in _TILED:
        mark = _tiled(mark, width, height)
        left = top = 0
    else:
        gravity = Gravity(wanted.position, wanted.x, wanted.y)
        left, top = position((width, height), (mark.width, mark.height), gravity, state.plan.dpr, overflow=True)
    for frame in range(frames):
        image = _over(image, mark, left, top, frame * height, height)
    return image


def _prepared(state: State, wanted: Watermark, width: int, height: int) -> Any:
    """The watermark in its size, with alpha, in memory; with its gaps if it is tiled."""
    options = ProcessingOptions(enlarge=True)
    if wanted.scale:
        options = replace(
            options, width=max(1, half_even(width * wanted.scale)), height=max(1, half_even(height * wanted.scale))
        )
    else:
        size = state.options.watermark_size
        options = replace(options, width=size.width, height=size.height)
    original = _source(state)
    settings = replace(state.settings, max_result_dimension=0)
    inner = start(original, original.image, options, settings, original.format, state.cancellation)
    for stage in _STAGES:
        stage(inner)
    mark = inner.image if inner.image.hasalpha() else inner.image.addalpha()
    mark = _turned(mark, state.options.watermark_rotate % 360)
    if state.options.watermark_shadow:
        mark = _with_shadow(mark, min(state.options.watermark_shadow, _WIDEST_SHADOW))
    if wanted.position in _TILED:
        across, down = _gap(wanted.x, width, state.plan.dpr), _gap(wanted.y, height, state.plan.dpr)
        if across or down:
            size_with_gaps = max(1, mark.width + across), max(1, mark.height + down)
            mark = mark.embed(int(across / 2), int(down / 2), *size_with_gaps, extend="black")
        if wanted.position == "ch":
            empty = mark * 0
            mark = pyvips.Image.arrayjoin([mark, empty, empty, mark], across=2)
    return state.cancellation.watch(mark.copy_memory())


def _source(state: State) -> Original:
    """The watermark as it comes: an image, or a text that is drawn."""
    text = state.options.watermark_text
    if text:
        try:
            image = pyvips.Image.text(text[:_LONGEST_TEXT], font=_FONT, rgba=True, dpi=96)
        except pyvips.Error:
            raise BadOption("the watermark's text cannot be drawn: it is no valid Pango markup, or empty") from None
        return Original(b"", "png", image, image.width, image.height, 1, 1, False, whole=False)
    original = open_original(state.watermark or b"", sanitize_svg=state.settings.sanitize_svg)
    original.check_resolution(state.settings.max_src_resolution, 1, 0)
    return original


def _turned(mark: Any, angle: float) -> Any:
    """Clockwise; right angles exactly, others resampled on a transparent ground."""
    if angle % 90 == 0:
        return mark.rot(f"d{angle:.0f}") if angle else mark
    band_format = mark.format
    return mark.premultiply().rotate(angle).unpremultiply().cast(band_format)


def _with_shadow(mark: Any, sigma: float) -> Any:
    """The mark on a black shadow of its own shape, blurred."""
    room = math.ceil(sigma * 3)
    mark = mark.embed(room, room, mark.width + 2 * room, mark.height + 2 * room, extend="black")
    alpha = mark.extract_band(mark.bands - 1)
    black = [alpha * 0 for _ in range(mark.bands - 2)]
    shadow = (alpha * 0).bandjoin([*black, alpha.gaussblur(sigma)]).cast(mark.format)
    shadow = shadow.copy(interpretation=mark.interpretation)
    return shadow.composite2(mark, "over", compositing_space=mark.interpretation).cast(mark.format)


def _gap(offset: float, outer: int, dpr: float) -> int:
    return half_even(offset * dpr) if abs(offset) >= 1 else half_even(outer * offset)


def _tiled(mark: Any, width: int, height: int) -> Any:
    """Tiles over the whole picture, one of them in its middle."""
    across, down = (math.ceil(full / side) for full, side in ((width, mark.width), (height, mark.height)))
    across, down = across + (across % 2 == 0), down + (down % 2 == 0)
    tiles = mark.replicate(across, down)
    return tiles.crop((tiles.width - width) // 2, (tiles.height - height) // 2, width, height)


def _over(image: Any, mark: Any, left: int, top: int, frame_top: int, frame_height: int) -> Any:
    """Composite *mark* into the frame at *frame_top*, without letting it reach into the neighbours."""
    above, below = max(0, -top), max(0, top + mark.height - frame_height)
    if left >= image.width or -left >= mark.width or above + below >= mark.height:
        return image
    if above or below:
        mark = mark.crop(0, above, mark.width, mark.height - above - below)
    kind = interpretation(image)
    if kind in {"b-w", "grey16"} and interpretation(mark) not in {"b-w", "grey16"}:
        kind = "srgb" if kind == "b-w" else "rgb16"
    had_alpha, band_format = image.hasalpha(), image.format
    made = image.composite2(mark, "over", x=left, y=frame_top + top + above, compositing_space=kind).cast(band_format)
    return made if had_alpha or not made.hasalpha() else made.extract_band(0, n=made.bands - 1)
