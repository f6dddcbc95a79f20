"""Which format the result gets, and whether anything is done at all."""

from __future__ import annotations

from collections.abc import Sequence

from imgforge.model import Padding, ProcessingOptions
from imgforge.processing.best_format import BEST, candidates
from imgforge.processing.codecs.load import Original
from imgforge.processing.libvips import animates, capabilities, holds, missing
from imgforge.processing.settings import ProcessingSettings

__all__ = ["output_formats", "skips"]

# Where the operator prefers only what this server cannot write.
_LAST_RESORT = ("jpeg",)


def skips(original: Original, options: ProcessingOptions, settings: ProcessingSettings) -> bool:
    """Whether the source is served as it is: as listed, or an SVG that nobody wants as pixels."""
    wanted = _wanted(options, settings)
    if wanted == original.format == "svg":
        return True
    open_ended = wanted is None or (wanted == BEST and settings.best_format_allow_skips)
    listed = original.format in {*settings.skip_processing_formats, *options.skip_processing}
    drawing = original.format == "svg" and not settings.always_rasterize_svg
    return (open_ended and (listed or drawing)) or (wanted == original.format and listed)


def _wanted(options: ProcessingOptions, settings: ProcessingSettings) -> str | None:
    """The format that the URL names, `best` where the operator wants that by default, or None."""
    return options.format or (BEST if settings.best_format_by_default else None)


def output_formats(
    original: Original,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    *,
    animated: bool,
    chain: Sequence[ProcessingOptions] = (),
) -> list[str]:
    """The formats to try for the result, mostly one; `UnsupportedFormat` where the one asked for cannot be written.

    *options* say what is wanted, those of the *chain* of pipelines, if there is one, what is done.
    """
    chain = chain or (options,)
    saves = capabilities().saves
    accepted = tuple(one for one in accepted if one in saves)
    preferred = tuple(one for one in settings.preferred_formats if one in saves) or _LAST_RESORT
    name = _wanted(options, settings)
    if name == BEST:
        return candidates(accepted, preferred, animated=animated, transparent=_is_transparent(original, chain))
    if name is None or name in saves:
        name = next((one for one in accepted if animates(one) or not animated), name)
    if name is None and settings.default_format != "source":
        name = settings.default_format
    if name is None:
        transparent = _is_transparent(original, chain)
        holding = (one for one in preferred if holds(one, animated=animated, transparent=transparent))
        name = original.format if original.format in preferred else next(holding, preferred[0])
    if name not in saves:
        raise missing(name, "write")
    return [name]


def _is_transparent(original: Original, chain: Sequence[ProcessingOptions]) -> bool:
    """Whether the result will have an alpha that no background covers."""
    transparent = bool(original.image.hasalpha())
    for options in chain:
        added = options.padding not in (None, Padding()) or options.extend.enabled or bool(options.round)
        covered = options.background is not None and options.background_alpha == 1
        transparent = not covered and (added or transparent)
    return transparent
