"""Which format the result gets, and whether anything is done at all."""

from __future__ import annotations

from imgforge.model import ProcessingOptions
from imgforge.processing._best import BEST, candidates
from imgforge.processing._formats import DEFAULT_FORMATS
from imgforge.processing._load import Original
from imgforge.processing._settings import ProcessingSettings
from imgforge.processing._vips import animates, capabilities, holds, missing

__all__ = ["output_formats", "skips"]


def skips(original: Original, options: ProcessingOptions, settings: ProcessingSettings) -> bool:
    """Whether the source is served as it is: as listed, or an SVG that nobody wants as pixels."""
    same = options.format is None or options.format == original.format
    listed = original.format in {*settings.skip_processing_formats, *options.skip_processing}
    return same and (listed or original.format == "svg")


def output_formats(
    original: Original,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    *,
    animated: bool,
) -> list[str]:
    """The formats to try for the result, mostly one; `UnsupportedFormat` where the one asked for cannot be written."""
    saves = capabilities().saves
    name = options.format
    if name is None and settings.best_format_by_default:
        name = BEST
    if name == BEST:
        return candidates(accepted, saves, animated=animated, transparent=_is_transparent(original, options))
    if name is None:
        name = next((one for one in accepted if one in saves and (animates(one) or not animated)), None)
    if name is None and settings.default_format != "source":
        name = settings.default_format
    if name is None:
        name = original.format if original.format in DEFAULT_FORMATS else _first_that_holds(original, options, animated)
    if name not in saves:
        raise missing(name, "write")
    return [name]


def _is_transparent(original: Original, options: ProcessingOptions) -> bool:
    """Whether the result will have an alpha that no background covers."""
    added = options.padding is not None or options.extend.enabled or bool(options.round)
    return options.background is None and (added or bool(original.image.hasalpha()))


def _first_that_holds(original: Original, options: ProcessingOptions, animated: bool) -> str:
    transparent = _is_transparent(original, options)
    holding = (name for name in DEFAULT_FORMATS if holds(name, animated=animated, transparent=transparent))
    return next(holding, DEFAULT_FORMATS[0])
