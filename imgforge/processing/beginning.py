"""The beginning of a rendition: the source is opened, the format chosen, the resolution checked, the sizes planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imgforge.model import ProcessingOptions
from imgforge.processing.codecs import Original, animates, check_hash, open_original
from imgforge.processing.format_choice import FormatChoice, chosen_formats
from imgforge.processing.resources import Cancellation
from imgforge.processing.settings import ProcessingSettings, chosen
from imgforge.processing.state import RenderContext, State, start

__all__ = ["Beginning", "begin", "bounded", "open_source"]

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


def output_options(pipelines: Sequence[ProcessingOptions]) -> ProcessingOptions:
    """The options of the file, of all *pipelines* together."""
    output = pipelines[0]
    for options in pipelines[1:]:
        changes = {
            name: getattr(options, name) for name in _OUTPUT if getattr(options, name) != getattr(_DEFAULTS, name)
        }
        output = replace(output, **changes)
    return output


@dataclass(frozen=True, slots=True)
class Beginning:
    """All that is known of a rendition before its first stage.

    `state` is that of a still, or of an animation's first frame; `output` are the options of the file; `frames` is how
    many frames the result has.
    """

    state: State
    original: Original
    context: RenderContext
    choice: FormatChoice
    output: ProcessingOptions
    frames: int
    animated: bool


def open_source(
    source: bytes,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    cancellation: Cancellation,
    *,
    partial: bool = False,
) -> Original:
    """Opens *source*, and checks its hash and its type; *partial* accepts a truncated source."""
    check_hash(source, options.hashsum)
    original = open_original(
        source,
        settings,
        style=options.style,
        cancellation=cancellation,
        partial=partial,
        megapixels=0
        if chosen(options.enforce_thumbnail, settings.enforce_thumbnail)
        else chosen(options.max_src_resolution, settings.max_src_resolution),
    )
    original.check_type(settings.allowed_mime_types)
    return original


def begin(
    original: Original,
    pipelines: Sequence[ProcessingOptions],
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    watermarks: Mapping[str, bytes],
    cancellation: Cancellation,
) -> Beginning:
    """Begins the rendition of *original*; arguments and errors as of `imgforge.processing.process`."""
    options, output = pipelines[0], output_options(pipelines)
    max_frames = chosen(options.max_animation_frames, settings.max_animation_frames)
    animated = original.animated and max_frames > 1 and not options.disable_animation
    choice = chosen_formats(original, output, settings, accepted, animated=animated, pipelines=pipelines)
    context = RenderContext(settings, choice.names[0], cancellation, watermarks)
    animated = animated and animates(choice.names[0])
    frames = min(original.pages, max_frames) if animated else 1
    if not animated:
        thumbnail = chosen(options.enforce_thumbnail, settings.enforce_thumbnail)
        original = original.with_thumbnail() if thumbnail else original.with_pages(options.page, options.pages)
    original = bounded(original, options, settings, frames)
    first = start(original, cancellation.watch(original.image), options, context, frame=animated)
    return Beginning(first, original, context, choice, output, frames, animated)


def bounded(original: Original, options: ProcessingOptions, settings: ProcessingSettings, frames: int) -> Original:
    """*original*, once its resolution is within the limits; see `Original.bounded`."""
    return original.bounded(
        chosen(options.max_src_resolution, settings.max_src_resolution),
        frames,
        chosen(options.max_animation_frame_resolution, settings.max_animation_frame_resolution),
    )
