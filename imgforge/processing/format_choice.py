"""The choice of the result's format, and of sources that are served unprocessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from imgforge.model import Padding, ProcessingOptions
from imgforge.processing.best_format import BEST, candidates
from imgforge.processing.codecs import Original, animates, capabilities, holds, missing
from imgforge.processing.settings import ProcessingSettings

__all__ = ["FormatChoice", "chosen_formats", "skips"]

# Used where this server can write none of the formats that the operator prefers.
_LAST_RESORT = ("jpeg",)


def skips(original: Original, options: ProcessingOptions, settings: ProcessingSettings) -> bool:
    """Whether the source is served unprocessed: a listed format, or an SVG for which no raster format is requested."""
    requested = _requested(options, settings)
    if requested == original.format == "svg":
        return True
    undecided = requested is None or (requested == BEST and settings.best_format_allow_skips)
    listed = original.format in {*settings.skip_processing_formats, *options.skip_processing}
    kept_svg = original.format == "svg" and not settings.always_rasterize_svg
    return (undecided and (listed or kept_svg)) or (requested == original.format and listed)


def _requested(options: ProcessingOptions, settings: ProcessingSettings) -> str | None:
    """The format that the URL names, `best` where that is the operator's default, or None."""
    return options.format or (BEST if settings.best_format_by_default else None)


class FormatChoice(NamedTuple):
    """The formats to try for a result: one, or several for `best`; and *why*, in a line for the operator."""

    names: list[str]
    why: str


_BEST_NAMED = "the URL asks for the smallest file: all of these are tried"
_BEST_BY_DEFAULT = "IMGFORGE_BEST_FORMAT_BY_DEFAULT asks for the smallest file: all of these are tried"
_NAMED = "the URL names it"
_ACCEPTED = "the client accepts it (Accept), and the operator offers it where the URL names no format"
_ENFORCED = "the client accepts it (Accept), and the operator prefers it to the format that the URL names"
_DEFAULT = "neither the URL nor the client decides: IMGFORGE_DEFAULT_FORMAT does"
_SAME = "neither the URL nor the client decides: it is the source's own, and among IMGFORGE_PREFERRED_FORMATS"
_PREFERRED = "the source's own is not among IMGFORGE_PREFERRED_FORMATS: the first of them that can hold the result"


def chosen_formats(
    original: Original,
    options: ProcessingOptions,
    settings: ProcessingSettings,
    accepted: tuple[str, ...],
    *,
    animated: bool,
    pipelines: Sequence[ProcessingOptions] = (),
) -> FormatChoice:
    """The formats to try for the result, and why.

    *options* describe the output, *pipelines* all processing (by default the same options). *accepted* are the formats
    that the client accepts, best first. Raises `UnsupportedFormat` where the requested format cannot be written.
    """
    pipelines = pipelines or (options,)
    saves = capabilities().saves
    accepted = tuple(one for one in accepted if one in saves)
    preferred = tuple(one for one in settings.preferred_formats if one in saves) or _LAST_RESORT
    name = _requested(options, settings)
    if name == BEST:
        transparent = _is_transparent(original, pipelines)
        names = candidates(accepted, preferred, animated=animated, transparent=transparent)
        return FormatChoice(names, _BEST_NAMED if options.format else _BEST_BY_DEFAULT)
    why = _NAMED
    if name is None or name in saves:
        taken = next((one for one in accepted if animates(one) or not animated), None)
        if taken is not None and taken != name:
            name, why = taken, _ACCEPTED if name is None else _ENFORCED
    if name is None and settings.default_format != "source":
        name, why = settings.default_format, _DEFAULT
    if name is None and original.format in preferred:
        name, why = original.format, _SAME
    if name is None:
        transparent = _is_transparent(original, pipelines)
        holding = (one for one in preferred if holds(one, animated=animated, transparent=transparent))
        name, why = next(holding, preferred[0]), _PREFERRED
    if name not in saves:
        raise missing(name, "write")
    return FormatChoice([name], why)


def _is_transparent(original: Original, pipelines: Sequence[ProcessingOptions]) -> bool:
    """Whether the result will have transparent pixels that no background covers."""
    transparent = bool(original.image.hasalpha())
    for options in pipelines:
        added = options.padding not in (None, Padding()) or options.extend.enabled or bool(options.round)
        covered = options.background is not None and options.background_alpha == 1
        transparent = not covered and (added or transparent)
    return transparent
