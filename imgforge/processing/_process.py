"""The engine's entry: from a source's bytes and options to a rendition.

    open ── skip? ── choose the format ── check the resolution ── STAGES ── colour, metadata ── save
                                                └ an animation runs each of its frames through STAGES

The stages' order is imgproxy's. One call costs, beside libvips' own work, some 20 pyvips operations of 50 us each.
"""

from __future__ import annotations

from collections.abc import Callable

import pyvips

from imgforge.errors import UnsupportedFormat
from imgforge.model import ImageInfo, ProcessingOptions, Rendition
from imgforge.processing._animation import animate
from imgforge.processing._blurs import blur_areas, progressive_blur, unsharp_mask
from imgforge.processing._cancellation import Cancellation
from imgforge.processing._canvas import extend, extend_aspect_ratio, flatten, pad, turn
from imgforge.processing._colour import to_processing_colours, to_result_colours
from imgforge.processing._colours import adjust_colours
from imgforge.processing._cut import crop, crop_to_result, trim
from imgforge.processing._filters import apply_filters
from imgforge.processing._fit_format import fit_format
from imgforge.processing._formats import DEFAULT_FORMATS, FORMATS
from imgforge.processing._load import Original, open_original
from imgforge.processing._metadata import strip_metadata
from imgforge.processing._overlays import colorize, gradient, round_corners
from imgforge.processing._resize import scale, scale_on_load
from imgforge.processing._save import save
from imgforge.processing._settings import ProcessingSettings
from imgforge.processing._state import State, start
from imgforge.processing._vips import broken, capabilities
from imgforge.processing._watermark import watermark

__all__ = ["STAGES", "inspect", "process"]

STAGES: tuple[Callable[[State], None], ...] = (
    trim,
    scale_on_load,
    to_processing_colours,
    blur_areas,
    crop,
    scale,
    turn,
    crop_to_result,
    unsharp_mask,
    apply_filters,
    progressive_blur,
    adjust_colours,
    colorize,
    gradient,
    extend,
    extend_aspect_ratio,
    pad,
    round_corners,
    fit_format,
    flatten,
    watermark,
)


def process(
    source: bytes,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    *,
    accepted: tuple[str, ...] = (),
    watermark: bytes | None = None,
    cancellation: Cancellation | None = None,
) -> Rendition:
    """The rendition of *source* under *options*.

    *accepted* are the formats, best first, that may replace one that the options leave open. Raises `NotAnImage`,
    `SourceTooLarge`, `ResultTooLarge`, `UnsupportedFormat`, or `RequestTimeout` once *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    try:
        return _process(source, options, settings, accepted, watermark, cancellation)
    except pyvips.Error as error:
        cancellation.check()
        raise broken(error) from None


def _process(
    source: bytes,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    watermark: bytes | None,
    cancellation: Cancellation,
) -> Rendition:
    original = open_original(source, sanitize_svg=settings.sanitize_svg)
    if _skips(original, options, settings):
        _check(original, options, settings, 1)
        return _rendition(original, original.body, original.format, original.width, original.height, len(source))
    most = settings.max_animation_frames if options.max_animation_frames is None else options.max_animation_frames
    animated = original.animated and most > 1 and not options.disable_animation
    name = _output_format(original, options, settings, accepted, animated=animated)
    animated = animated and FORMATS[name].animation
    frames = min(original.pages, most) if animated else 1
    if not animated:
        thumbnail = settings.enforce_thumbnail if options.enforce_thumbnail is None else options.enforce_thumbnail
        original = original.with_thumbnail() if thumbnail else original.with_pages(options.page, options.pages)
    _check(original, options, settings, frames)
    if animated:
        state = animate(original, frames, options, settings, name, STAGES, cancellation, watermark)
    else:
        image = cancellation.watch(original.image)
        state = start(original, image, options, settings, name, cancellation, watermark=watermark)
        for stage in STAGES:
            stage(state)
    to_result_colours(state)
    strip_metadata(state, animated=animated)
    body = save(state)
    return _rendition(original, body, state.format_name, state.image.width, state.image.height // frames, len(source))


def inspect(source: bytes, settings: ProcessingSettings) -> ImageInfo:
    """What the header of *source* says; no pixel is decoded. `NotAnImage`, `UnsupportedFormat`."""
    original = open_original(source, sanitize_svg=settings.sanitize_svg)
    return ImageInfo(
        format=original.format,
        mime_type=FORMATS[original.format].mime_type,
        width=original.width,
        height=original.height,
        size=len(source),
        orientation=original.orientation,
        pages=original.pages,
        has_alpha=bool(original.image.hasalpha()),
    )


def _check(original: Original, options: ProcessingOptions, settings: ProcessingSettings, frames: int) -> None:
    if FORMATS[original.format].vector:  # rendered in whatever size is asked for
        return
    pixels, frame = options.max_src_resolution, options.max_animation_frame_resolution
    original.check_resolution(
        settings.max_src_resolution if pixels is None else pixels,
        frames,
        settings.max_animation_frame_resolution if frame is None else frame,
    )


def _skips(original: Original, options: ProcessingOptions, settings: ProcessingSettings) -> bool:
    """Whether the source is served as it is: as listed, or an SVG that nobody wants as pixels."""
    same = options.format is None or options.format == original.format
    listed = original.format in {*settings.skip_processing_formats, *options.skip_processing}
    return same and (listed or original.format == "svg")


def _output_format(
    original: Original,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    *,
    animated: bool,
) -> str:
    saves = capabilities().saves
    name = options.format or next(
        (one for one in accepted if one in saves and (FORMATS[one].animation or not animated)), None
    )
    if name is None and settings.default_format != "source":
        name = settings.default_format
    if name is None:
        name = original.format if original.format in DEFAULT_FORMATS else _first_that_holds(original, options, animated)
    if name not in saves:
        raise UnsupportedFormat(f"this server's libvips does not write {name}")
    return name


def _first_that_holds(original: Original, options: ProcessingOptions, animated: bool) -> str:
    transparent = options.background is None and (
        original.image.hasalpha() or options.padding is not None or options.extend.enabled or options.round
    )
    for name in DEFAULT_FORMATS:
        if (FORMATS[name].animation or not animated) and (FORMATS[name].alpha or not transparent):
            return name
    return DEFAULT_FORMATS[0]


def _rendition(original: Original, body: bytes, name: str, width: int, height: int, size: int) -> Rendition:
    return Rendition(
        body=body,
        format=name,
        content_type=FORMATS[name].mime_type,
        width=width,
        height=height,
        source_format=original.format,
        source_width=original.width,
        source_height=original.height,
        source_bytes=size,
    )
