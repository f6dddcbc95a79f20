"""The watermark over the finished picture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pyvips

from imgforge.errors import ResultTooLarge
from imgforge.model import Gravity, ProcessingOptions, Watermark
from imgforge.processing.codecs import Original, open_original
from imgforge.processing.gravity import offset_in_pixels, position
from imgforge.processing.rounding import half_even
from imgforge.processing.settings import chosen
from imgforge.processing.stages.colour_space import interpretation, standard_rgb, to_processing_colours
from imgforge.processing.stages.rotate import rotate
from imgforge.processing.stages.scale import scale
from imgforge.processing.stages.scale_on_load import scale_on_load
from imgforge.processing.stages.watermark_text import draw_text, draw_text_enlarged
from imgforge.processing.state import RenderContext, State, start

__all__ = ["watermark", "watermarked"]

# Positions that tile the picture: in rows (re), or like the black fields of a chessboard (ch).
_TILED = frozenset({"re", "ch"})
_WIDEST_SHADOW = 100.0  # pixels of sigma

# The stages that the watermark itself passes.
_STAGES = (scale_on_load, to_processing_colours, scale, rotate)


def watermark(state: State) -> None:
    """Put the watermark over a single picture."""
    state.image = watermarked(state, state.image, 1)


def watermarked(state: State, image: Any, frames: int) -> Any:
    """*image* with the watermark on each of its *frames*, which are stacked below one another."""
    wanted = state.options.watermark
    if wanted is None or not wanted.opacity or (state.watermark is None and not state.options.watermark_text):
        return image
    width, height = image.width, image.height // frames
    mark = _prepared(state, wanted, width, height)
    left = top = 0
    if wanted.position in _TILED:
        tile = _tile(_in_memory(state, mark), wanted, width, height, state.plan.dpr)
        if tile is None:
            return image
        mark = _tiled(tile, width, height)
    else:
        gravity = Gravity(wanted.position, wanted.x, wanted.y)
        left, top = position((width, height), (mark.width, mark.height), gravity, state.plan.dpr, overflow=True)
        mark = _in_memory(state, _visible(mark, left, top, width, height))
        left, top = max(0, left), max(0, top)
    opacity = wanted.opacity * state.settings.watermark_opacity
    if opacity < 1:
        mark = mark * [*[1.0] * (mark.bands - 1), opacity]
    for frame in range(frames):
        image = _composited(state, image, mark, left, frame * height + top)
    return image


def _prepared(state: State, wanted: Watermark, width: int, height: int) -> Any:
    """The watermark with alpha, in its size for a picture of *width* by *height*, rotated and with its shadow."""
    options = ProcessingOptions(enlarge=True)
    if wanted.scale:
        options = replace(
            options, width=max(1, half_even(width * wanted.scale)), height=max(1, half_even(height * wanted.scale))
        )
    else:
        size = state.options.watermark_size
        options = replace(options, width=size.width, height=size.height)
    mark = _scaled(state, _source(state), options)
    if not mark.hasalpha():
        mark = mark.addalpha()
    angle, shadow = state.options.watermark_rotate % 360, state.options.watermark_shadow
    if angle or shadow:
        mark = _in_memory(state, mark)
    mark = _rotated(mark, angle)
    return _with_shadow(mark, min(shadow, _WIDEST_SHADOW)) if shadow else mark


def _scaled(state: State, original: Original, options: ProcessingOptions) -> Any:
    """The watermark in the size of *options*; the limit on results also bounds how far it is enlarged."""
    limit = chosen(state.options.max_result_dimension, state.settings.max_result_dimension)
    limit = max(limit, original.width, original.height) if limit else 0
    context = RenderContext(
        settings=replace(state.settings, max_result_dimension=limit),
        format_name=original.format,
        cancellation=state.cancellation,
    )
    try:
        inner = start(original, original.image, options, context)
    except ResultTooLarge as error:
        raise ResultTooLarge(f"watermark: {error.message}") from None
    if state.options.watermark_text and inner.plan.scale_x > 1:
        original = _text(draw_text_enlarged(state.options.watermark_text, original.image, inner.plan.scale_x))
        inner = start(original, original.image, options, context)
    for stage in _STAGES:
        stage(inner)
    return inner.image


def _source(state: State) -> Original:
    """The watermark before any stage: an image, or a drawn text."""
    text = state.options.watermark_text
    if text:
        return _text(draw_text(text))
    most = state.settings.max_src_resolution
    original = open_original(state.watermark or b"", state.settings, cancellation=state.cancellation, megapixels=most)
    return original.bounded(most, 1, 0)


def _text(image: Any) -> Original:
    """A drawn text as an original."""
    return Original(b"", "png", image, image.width, image.height, 1, 1, False, whole=False)


def _in_memory(state: State, mark: Any) -> Any:
    """*mark* with its pixels in memory, for operations that read them more than once or not from top to bottom."""
    return state.cancellation.watch(mark.copy_memory())


def _visible(mark: Any, left: int, top: int, width: int, height: int) -> Any:
    """The part of *mark* inside the picture, so that a large watermark costs no more and reaches no other frame."""
    x, y = max(0, -left), max(0, -top)
    return mark.crop(x, y, min(mark.width - x, width - max(0, left)), min(mark.height - y, height - max(0, top)))


def _rotated(mark: Any, angle: float) -> Any:
    """*mark* rotated clockwise: right angles exactly, others resampled on a transparent ground."""
    if angle % 90 == 0:
        return mark.rot(f"d{angle:.0f}") if angle else mark
    band_format = mark.format
    return mark.premultiply().rotate(angle).unpremultiply().cast(band_format)


def _with_shadow(mark: Any, sigma: float) -> Any:
    """*mark* on a black shadow of its own shape, blurred."""
    margin = math.ceil(sigma * 3)
    mark = mark.embed(margin, margin, mark.width + 2 * margin, mark.height + 2 * margin, extend="black")
    alpha = mark.extract_band(mark.bands - 1)
    black = [alpha * 0 for _ in range(mark.bands - 2)]
    shadow = (alpha * 0).bandjoin([*black, alpha.gaussblur(sigma)]).cast(mark.format)
    shadow = shadow.copy(interpretation=mark.interpretation)
    return shadow.composite2(mark, "over", compositing_space=mark.interpretation).cast(mark.format)


def _tile(mark: Any, wanted: Watermark, width: int, height: int, dpr: float) -> Any:
    """One tile: the watermark with its gaps, or four fields of a chessboard; None where negative gaps leave nothing."""
    across, down = _gap(wanted.x, width, dpr), _gap(wanted.y, height, dpr)
    size_with_gaps = mark.width + across, mark.height + down
    if min(size_with_gaps) < 1:
        return None
    if across or down:
        mark = mark.embed(int(across / 2), int(down / 2), *size_with_gaps, extend="black")
    if wanted.position == "ch":
        empty = mark * 0
        mark = pyvips.Image.arrayjoin([mark, empty, empty, mark], across=2)
    return mark


def _gap(offset: float, outer: int, dpr: float) -> int:
    """The gap in pixels. Beyond twice the picture's side only its parity still matters: it is bounded there."""
    gap = offset_in_pixels(offset, outer, dpr)
    widest = 2 * outer
    return gap if gap <= widest else widest + gap % 2


def _tiled(tile: Any, width: int, height: int) -> Any:
    """Copies of *tile* over the whole picture, one of them in its middle."""
    across, down = (math.ceil(full / side) for full, side in ((width, tile.width), (height, tile.height)))
    across, down = across + (across % 2 == 0), down + (down % 2 == 0)
    tiles = tile.replicate(across, down)
    return tiles.crop((tiles.width - width) // 2, (tiles.height - height) // 2, width, height)


def _composited(state: State, image: Any, mark: Any, left: int, top: int) -> Any:
    """*image* with *mark*, which lies inside it, over it."""
    if interpretation(mark) not in {"b-w", "grey16"}:
        image = standard_rgb(state, image)
    space = interpretation(image)
    had_alpha, band_format = image.hasalpha(), image.format
    result = image.composite2(mark, "over", x=left, y=top, compositing_space=space).cast(band_format)
    return result if had_alpha or not result.hasalpha() else result.extract_band(0, n=result.bands - 1)
