"""The watermark, laid over the finished picture."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pyvips

from imgforge.errors import ResultTooLarge
from imgforge.model import Gravity, ProcessingOptions, Watermark
from imgforge.processing.codecs.load import Original, open_original
from imgforge.processing.gravity import offset_in_pixels, position
from imgforge.processing.rounding import half_even
from imgforge.processing.settings import chosen
from imgforge.processing.stages.canvas import turn
from imgforge.processing.stages.colour_space import interpretation, standard_rgb, to_processing_colours
from imgforge.processing.stages.resize import scale, scale_on_load
from imgforge.processing.stages.text import drawn, enlarged
from imgforge.processing.state import State, start

__all__ = ["watermark", "watermarked"]

# Positions that fill the picture: in rows, or like the black fields of a chessboard.
_TILED = frozenset({"re", "ch"})
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
    left = top = 0
    if wanted.position in _TILED:
        tile = _spaced(_in_memory(state, mark), wanted, width, height, state.plan.dpr)
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
        image = _over(state, image, mark, left, frame * height + top)
    return image


def _prepared(state: State, wanted: Watermark, width: int, height: int) -> Any:
    """The watermark in its size, with alpha."""
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
    mark = _turned(mark, angle)
    return _with_shadow(mark, min(shadow, _WIDEST_SHADOW)) if shadow else mark


def _scaled(state: State, original: Original, options: ProcessingOptions) -> Any:
    """The watermark in the size that *options* ask for; the limit on results holds for enlarging it."""
    limit = chosen(state.options.max_result_dimension, state.settings.max_result_dimension)
    most = max(limit, original.width, original.height) if limit else 0
    settings = replace(state.settings, max_result_dimension=most)
    try:
        inner = start(original, original.image, options, settings, original.format, state.cancellation)
    except ResultTooLarge as error:
        raise ResultTooLarge(f"watermark: {error.message}") from None
    if state.options.watermark_text and inner.plan.scale_x > 1:
        original = _text(enlarged(state.options.watermark_text, original.image, inner.plan.scale_x))
        inner = start(original, original.image, options, settings, original.format, state.cancellation)
    for stage in _STAGES:
        stage(inner)
    return inner.image


def _source(state: State) -> Original:
    """The watermark as it comes: an image, or a text that is drawn."""
    text = state.options.watermark_text
    if text:
        return _text(drawn(text))
    original = open_original(state.watermark or b"", state.settings, cancellation=state.cancellation)
    return original.bounded(state.settings.max_src_resolution, 1, 0)


def _text(image: Any) -> Original:
    """A text that has been drawn."""
    return Original(b"", "png", image, image.width, image.height, 1, 1, False, whole=False)


def _in_memory(state: State, mark: Any) -> Any:
    """Its pixels, for what reads them more than once or not from top to bottom."""
    return state.cancellation.watch(mark.copy_memory())


def _visible(mark: Any, left: int, top: int, width: int, height: int) -> Any:
    """What lies inside the picture: a large watermark costs no more than that, and reaches into no other frame."""
    x, y = max(0, -left), max(0, -top)
    return mark.crop(x, y, min(mark.width - x, width - max(0, left)), min(mark.height - y, height - max(0, top)))


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


def _spaced(mark: Any, wanted: Watermark, width: int, height: int, dpr: float) -> Any:
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
    """In pixels. Beyond twice the picture a wider one changes nothing, but whether it is odd."""
    gap = offset_in_pixels(offset, outer, dpr)
    widest = 2 * outer
    return gap if gap <= widest else widest + gap % 2


def _tiled(mark: Any, width: int, height: int) -> Any:
    """Tiles over the whole picture, one of them in its middle."""
    across, down = (math.ceil(full / side) for full, side in ((width, mark.width), (height, mark.height)))
    across, down = across + (across % 2 == 0), down + (down % 2 == 0)
    tiles = mark.replicate(across, down)
    return tiles.crop((tiles.width - width) // 2, (tiles.height - height) // 2, width, height)


def _over(state: State, image: Any, mark: Any, left: int, top: int) -> Any:
    """Composite *mark*, which lies inside *image*."""
    if interpretation(mark) not in {"b-w", "grey16"}:
        image = standard_rgb(state, image)
    kind = interpretation(image)
    had_alpha, band_format = image.hasalpha(), image.format
    made = image.composite2(mark, "over", x=left, y=top, compositing_space=kind).cast(band_format)
    return made if had_alpha or not made.hasalpha() else made.extract_band(0, n=made.bands - 1)
