"""The engine: from a source's bytes and options to a rendition.

    open ── skip? ── choose the format ── check the resolution ── STAGES ── colour, metadata ── save
                                                └ an animation runs each of its frames through STAGES

The order of the stages is imgproxy's. What small pictures need is called in libvips directly (`vips_image`), so that a
call costs some 0.15 ms beside libvips' own work; operations through pyvips cost 20 to 50 us more each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from imgforge.model import ProcessingOptions, Rendition
from imgforge.processing.beginning import Beginning, begin, bounded, open_source
from imgforge.processing.best_format import save_best
from imgforge.processing.codecs import FORMATS, Original, whole_or_part
from imgforge.processing.format_choice import skips
from imgforge.processing.pixel_estimate import pixel_bytes
from imgforge.processing.resources import Cancellation, PixelBudget
from imgforge.processing.saving import save
from imgforge.processing.settings import ProcessingSettings
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
from imgforge.processing.state import State

__all__ = ["STAGES", "Stages", "process", "run_pipelines"]

Stages = Sequence[Callable[[State], None]]

# Every image passes these from top to bottom; a stage that has nothing to do returns at once.
STAGES: Stages = (
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
    encoding: Callable[[], AbstractContextManager[object]] = nullcontext,
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
    encoding
        What it returns is entered while the result is encoded, which is when libvips works out most pixels.

    Raises
    ------
    NotAnImage, SourceTooLarge, ResultTooLarge, UnsupportedFormat
        For a source or options that cannot be processed.
    RequestTimeout
        Once *cancellation* was cancelled.
    """
    cancellation = cancellation or Cancellation()
    engine = _Engine(settings, accepted, watermarks or {}, cancellation, pixel_budget or PixelBudget(), encoding)

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
    encoding: Callable[[], AbstractContextManager[object]]

    def process(self, source: bytes, pipelines: Sequence[ProcessingOptions], *, partial: bool) -> Rendition:
        """The rendition of *source* after all *pipelines*; the first alone decides how the source is read.

        *partial* accepts a truncated source.
        """
        settings, options, cancellation = self.settings, pipelines[0], self.cancellation
        opened = open_source(source, options, settings, cancellation, partial=partial)
        size = len(source)
        if skips(opened, options, settings):
            bounded(opened, options, settings, 1)
            return _rendition(opened, opened.body, opened.format, opened.width, opened.height, size)
        begun = begin(opened, pipelines, settings, self.accepted, self.watermarks, cancellation)
        original, frames, names = begun.original, begun.frames, begun.choice.names
        with self.pixel_budget.reserve(pixel_bytes(begun.state, original, pipelines[1:], frames), cancellation):
            state = run_pipelines(begun, pipelines, frames)
            state.options = begun.output
            to_result_colours(state)
            embed_profile(state)
            strip_metadata(state, animated=begun.animated)
            with self.encoding():
                body = save(state) if len(names) == 1 else save_best(state, names)
        return _rendition(original, body, state.format_name, state.image.width, state.image.height // frames, size)


def run_pipelines(
    begun: Beginning, pipelines: Sequence[ProcessingOptions], frames: int, stages: Stages = STAGES
) -> State:
    """Runs all *stages* for all *pipelines*: for a still, or for each of the first *frames* of an animation."""
    chained = pipelines[1:]
    if not begun.animated:
        return _run_stages(begun.state, chained, stages)
    return animate(
        begun.original, frames, pipelines[0], begun.context, lambda frame: _run_stages(frame, chained, stages)
    )


def _run_stages(state: State, chained: Sequence[ProcessingOptions], stages: Stages) -> State:
    """Runs all *stages*, once for the pipeline of *state* and once for each of the *chained* ones."""
    state.last = not chained
    for stage in stages:
        stage(state)
    for number, options in enumerate(chained, 1):
        state = state.chained(options)
        state.last = number == len(chained)
        for stage in stages:
            stage(state)
    return state


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
