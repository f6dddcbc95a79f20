"""The engine's entry: from a source's bytes and options to a rendition.

    open ── skip? ── choose the format ── check the resolution ── STAGES ── colour, metadata ── save
                                                └ an animation runs each of its frames through STAGES

The stages' order is imgproxy's. One call costs, beside libvips' own work, some 20 pyvips operations of 50 us each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from imgforge.model import ProcessingOptions, Rendition
from imgforge.processing.best_format import save_best
from imgforge.processing.codecs.formats import FORMATS
from imgforge.processing.codecs.load import Original, check_hash, open_original
from imgforge.processing.codecs.partial_files import whole_or_part
from imgforge.processing.codecs.save import save
from imgforge.processing.format_choice import output_formats, skips
from imgforge.processing.libvips import animates
from imgforge.processing.metadata.strip import strip_metadata
from imgforge.processing.resources.cancellation import Cancellation
from imgforge.processing.resources.pixel_budget import PixelBudget, pixels_of
from imgforge.processing.settings import ProcessingSettings, chosen
from imgforge.processing.stages.blurs import blur_areas, progressive_blur, unsharp_mask
from imgforge.processing.stages.canvas import extend, extend_aspect_ratio, flatten, pad, turn
from imgforge.processing.stages.colour_effects import adjust_colours
from imgforge.processing.stages.colour_space import embed_profile, to_processing_colours, to_result_colours
from imgforge.processing.stages.crop import crop, crop_to_result, cut_before_turning, trim
from imgforge.processing.stages.filters import apply_filters
from imgforge.processing.stages.fit_format import fit_format
from imgforge.processing.stages.frames import animate
from imgforge.processing.stages.overlays import colorize, gradient, round_corners
from imgforge.processing.stages.resize import scale, scale_on_load
from imgforge.processing.stages.watermark import watermark
from imgforge.processing.state import State, start

__all__ = ["STAGES", "process"]

STAGES: tuple[Callable[[State], None], ...] = (
    trim,
    scale_on_load,
    to_processing_colours,
    blur_areas,
    crop,
    scale,
    cut_before_turning,
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
    then: Sequence[ProcessingOptions] = (),
    accepted: tuple[str, ...] = (),
    watermarks: Mapping[str, bytes] | None = None,
    cancellation: Cancellation | None = None,
    memory: PixelBudget | None = None,
) -> Rendition:
    """The rendition of *source* under *options*.

    *then* are the options of chained pipelines. *accepted* are the formats, best first, that take the place of the one
    that the options name or leave open, where they can hold the result. *watermarks* are images by the URL that the
    options name them by, "" is the operator's. *memory* is what pictures at work have in common: if there is not
    enough of it the call waits.
    Raises `NotAnImage`, `SourceTooLarge`, `ResultTooLarge`, `UnsupportedFormat`, or `RequestTimeout` once
    *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    engine = _Engine(settings, accepted, watermarks or {}, cancellation, memory or PixelBudget())

    def made(partial: bool) -> Rendition:
        return replace(engine, partial=partial).process(source, (options, *then))

    rendition, truncated = whole_or_part(source, settings, cancellation, made)
    return replace(rendition, truncated=truncated)


@dataclass(frozen=True, slots=True)
class _Engine:
    """What one call carries along."""

    settings: ProcessingSettings
    accepted: tuple[str, ...]
    watermarks: Mapping[str, bytes]
    cancellation: Cancellation
    memory: PixelBudget
    partial: bool = False  # of a source that ends too early a part is enough

    def process(self, source: bytes, chain: Sequence[ProcessingOptions]) -> Rendition:
        settings, options = self.settings, chain[0]
        check_hash(source, options.hashsum)
        original = open_original(
            source, settings, style=options.style, cancellation=self.cancellation, partial=self.partial
        )
        original.check_type(settings.allowed_mime_types)
        size = len(source)
        if skips(original, options, settings):
            _bounded(original, options, settings, 1)
            return _rendition(original, original.body, original.format, original.width, original.height, size)
        output = _output_options(chain)
        most = chosen(options.max_animation_frames, settings.max_animation_frames)
        animated = original.animated and most > 1 and not options.disable_animation
        names = output_formats(original, output, settings, self.accepted, animated=animated, chain=chain)
        name = names[0]
        animated = animated and animates(name)
        frames = min(original.pages, most) if animated else 1
        if not animated:
            thumbnail = chosen(options.enforce_thumbnail, settings.enforce_thumbnail)
            original = original.with_thumbnail() if thumbnail else original.with_pages(options.page, options.pages)
        original = _bounded(original, options, settings, frames)
        first = self._first(original, options, name, animated=animated)
        with self.memory.reserve(pixels_of(first, original, chain[1:], frames), self.cancellation):
            state = self._animated(original, frames, chain, name) if animated else _run(first, chain[1:])
            state.options = output
            to_result_colours(state)
            embed_profile(state)
            strip_metadata(state, animated=animated)
            body = save(state) if len(names) == 1 else save_best(state, names)
        return _rendition(original, body, state.format_name, state.image.width, state.image.height // frames, size)

    def _first(self, original: Original, options: ProcessingOptions, name: str, *, animated: bool) -> State:
        """The state before the first stage, of an animation that of any of its frames."""
        image = self.cancellation.watch(original.image)
        watermarks = self.watermarks
        return start(
            original, image, options, self.settings, name, self.cancellation, frame=animated, watermarks=watermarks
        )

    def _animated(self, original: Original, frames: int, chain: Sequence[ProcessingOptions], name: str) -> State:
        return animate(
            original,
            frames,
            chain[0],
            self.settings,
            name,
            lambda state: _run(state, chain[1:]),
            self.cancellation,
            self.watermarks,
        )


def _run(state: State, then: Sequence[ProcessingOptions]) -> State:
    """All stages, once for each pipeline."""
    state.last = not then
    for stage in STAGES:
        stage(state)
    for number, options in enumerate(then, 1):
        state = state.chained(options)
        state.last = number == len(then)
        for stage in STAGES:
            stage(state)
    return state


# What the options say of the file rather than of one pipeline's pixels: of chained ones the last that says it counts.
_OUTPUT = (
    "format",
    "quality",
    "format_quality",
    "max_bytes",
    "autoquality",
    "jpeg_options",
    "png_options",
    "webp_options",
    "avif_options",
    "dpi",
    "color_profile",
    "strip_metadata",
    "keep_copyright",
    "strip_color_profile",
    "preserve_hdr",
    "auto_rotate",
)


def _output_options(chain: Sequence[ProcessingOptions]) -> ProcessingOptions:
    output, unsaid = chain[0], ProcessingOptions()
    for options in chain[1:]:
        said = {name: getattr(options, name) for name in _OUTPUT if getattr(options, name) != getattr(unsaid, name)}
        output = replace(output, **said)
    return output


def _bounded(original: Original, options: ProcessingOptions, settings: ProcessingSettings, frames: int) -> Original:
    return original.bounded(
        chosen(options.max_src_resolution, settings.max_src_resolution),
        frames,
        chosen(options.max_animation_frame_resolution, settings.max_animation_frame_resolution),
    )


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
