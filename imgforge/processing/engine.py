"""The engine: from a source's bytes and options to a rendition.

    open ── skip? ── choose the format ── check the resolution ── STAGES ── colour, metadata ── save
                                                └ an animation runs each of its frames through STAGES

The order of the stages is imgproxy's. What small pictures need is called in libvips directly (`vips_image`), so that a
call costs some 0.15 ms beside libvips' own work; operations through pyvips cost 20 to 50 us more each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from imgforge.model import ProcessingOptions, Rendition
from imgforge.processing.best_format import save_best
from imgforge.processing.codecs import FORMATS, Original, animates, check_hash, open_original, whole_or_part
from imgforge.processing.format_choice import output_formats, skips
from imgforge.processing.pixel_estimate import pixel_bytes
from imgforge.processing.resources import Cancellation, PixelBudget
from imgforge.processing.saving import save
from imgforge.processing.settings import ProcessingSettings, chosen
from imgforge.processing.stages import (
    adjust_colours,
    animate,
    apply_filters,
    blur_areas,
    colorize,
    crop,
    crop_before_rotation,
    crop_to_result,
    embed_profile,
    extend,
    extend_aspect_ratio,
    fit_format,
    flatten,
    gradient,
    pad,
    progressive_blur,
    rotate,
    round_corners,
    scale,
    scale_on_load,
    strip_metadata,
    to_processing_colours,
    to_result_colours,
    trim,
    unsharp_mask,
    watermark,
)
from imgforge.processing.state import RenderContext, State, start

__all__ = ["STAGES", "process"]

# Every image passes these from top to bottom; a stage that has nothing to do returns at once.
STAGES: tuple[Callable[[State], None], ...] = (
    trim,
    scale_on_load,
    to_processing_colours,
    blur_areas,
    crop,
    scale,
    crop_before_rotation,
    rotate,
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
    chained: Sequence[ProcessingOptions] = (),
    accepted: tuple[str, ...] = (),
    watermarks: Mapping[str, bytes] | None = None,
    cancellation: Cancellation | None = None,
    pixel_budget: PixelBudget | None = None,
) -> Rendition:
    """The rendition of *source* under *options*.

    Parameters
    ----------
    chained
        The options of further pipelines, each of which works on the result of the one before.
    accepted
        The formats that the client accepts, best first. One of them replaces the format that the options name or leave
        open, where it can hold the result.
    watermarks
        Watermark files by the URL that the options name; "" is the operator's.
    cancellation
        Stops the work, from any thread.
    pixel_budget
        The bytes of pixels that all threads share; the call waits until its own are available.

    Raises
    ------
    NotAnImage, SourceTooLarge, ResultTooLarge, UnsupportedFormat
        For a source or options that cannot be processed.
    RequestTimeout
        Once *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    engine = _Engine(settings, accepted, watermarks or {}, cancellation, pixel_budget or PixelBudget())

    def render(partial: bool) -> Rendition:
        return engine.process(source, (options, *chained), partial=partial)

    rendition, truncated = whole_or_part(source, settings, cancellation, render)
    return replace(rendition, truncated=True) if truncated else rendition


@dataclass(frozen=True, slots=True)
class _Engine:
    """The arguments of one call besides its source and options."""

    settings: ProcessingSettings
    accepted: tuple[str, ...]
    watermarks: Mapping[str, bytes]
    cancellation: Cancellation
    pixel_budget: PixelBudget

    def process(self, source: bytes, pipelines: Sequence[ProcessingOptions], *, partial: bool) -> Rendition:
        """The rendition of *source* after all *pipelines*; the first alone decides how the source is read.

        *partial* accepts a truncated source.
        """
        settings, options = self.settings, pipelines[0]
        check_hash(source, options.hashsum)
        thumbnail = chosen(options.enforce_thumbnail, settings.enforce_thumbnail)
        original = open_original(
            source,
            settings,
            style=options.style,
            cancellation=self.cancellation,
            partial=partial,
            megapixels=0 if thumbnail else chosen(options.max_src_resolution, settings.max_src_resolution),
        )
        original.check_type(settings.allowed_mime_types)
        size = len(source)
        if skips(original, options, settings):
            _bounded(original, options, settings, 1)
            return _rendition(original, original.body, original.format, original.width, original.height, size)
        output = _output_options(pipelines)
        max_frames = chosen(options.max_animation_frames, settings.max_animation_frames)
        animated = original.animated and max_frames > 1 and not options.disable_animation
        names = output_formats(original, output, settings, self.accepted, animated=animated, pipelines=pipelines)
        context = RenderContext(settings, names[0], self.cancellation, self.watermarks)
        animated = animated and animates(names[0])
        frames = min(original.pages, max_frames) if animated else 1
        if not animated:
            original = original.with_thumbnail() if thumbnail else original.with_pages(options.page, options.pages)
        original = _bounded(original, options, settings, frames)
        first = start(original, self.cancellation.watch(original.image), options, context, frame=animated)
        with self.pixel_budget.reserve(pixel_bytes(first, original, pipelines[1:], frames), self.cancellation):
            if animated:
                state = animate(original, frames, options, context, lambda frame: _run(frame, pipelines[1:]))
            else:
                state = _run(first, pipelines[1:])
            state.options = output
            to_result_colours(state)
            embed_profile(state)
            strip_metadata(state, animated=animated)
            body = save(state) if len(names) == 1 else save_best(state, names)
        return _rendition(original, body, state.format_name, state.image.width, state.image.height // frames, size)


def _run(state: State, chained: Sequence[ProcessingOptions]) -> State:
    """Run all stages, once for the pipeline of *state* and once for each of the *chained* ones."""
    state.last = not chained
    for stage in STAGES:
        stage(state)
    for number, options in enumerate(chained, 1):
        state = state.chained(options)
        state.last = number == len(chained)
        for stage in STAGES:
            stage(state)
    return state


# Options that describe the file rather than one pipeline's pixels: the last of the pipelines that sets one wins.
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
_DEFAULTS = ProcessingOptions()


def _output_options(pipelines: Sequence[ProcessingOptions]) -> ProcessingOptions:
    output = pipelines[0]
    for options in pipelines[1:]:
        changes = {
            name: getattr(options, name) for name in _OUTPUT if getattr(options, name) != getattr(_DEFAULTS, name)
        }
        output = replace(output, **changes)
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
