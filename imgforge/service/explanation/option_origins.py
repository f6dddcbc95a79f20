"""The options in effect, and where each comes from: the URL, a preset, a client hint or a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from imgforge.config import Settings
from imgforge.model import DeliveryOptions, ImageRequest, InfoRequest, ProcessingOptions
from imgforge.observability import shown_source
from imgforge.processing import FORMATS
from imgforge.service.explanation.values import VARIABLE, OptionInEffect, Preset
from imgforge.urls import PRESET_NAMES, AppliedOption, OptionTrace

__all__ = ["file_quality", "options_in_effect", "presets_used"]

_URLS = frozenset({"watermark_url", "fallback_image_url"})


def presets_used(trace: OptionTrace, separator: str) -> Iterator[Preset]:
    """The presets that apply, in the order of their first option, and what is in each."""
    texts: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for one in trace.applied:
        if one.presets:
            texts.setdefault((one.presets, one.default), []).append(one.text)
        for name in _named_presets(one.text, separator):
            texts.setdefault(((*one.presets, name), one.default), [])
    for (chain, default), options in texts.items():
        outside = chain[:-1]
        by_default = default and not outside
        yield Preset(chain[-1], "default" if by_default else _origin(outside, default=False), tuple(options))


def _named_presets(text: str, separator: str) -> list[str]:
    name, *arguments = text.split(separator)
    return arguments if name in PRESET_NAMES else []


def _origin(presets: tuple[str, ...], *, default: bool) -> str:
    if not presets:
        return "URL"
    return "default preset" if default and len(presets) == 1 else f"preset {presets[-1]}"


def options_in_effect(
    request: ImageRequest | InfoRequest, trace: OptionTrace, settings: Settings
) -> Iterator[OptionInEffect]:
    """The options that the URL, its presets, client hints or settings decide; those at their neutral values are left
    out."""
    hints = request.hints._asdict() if isinstance(request, ImageRequest) else {}
    pipelines = (request.options, *request.chained) if isinstance(request, ImageRequest) else (request.options,)
    for number, options in enumerate(pipelines):
        origins: Mapping[str, AppliedOption] = trace.origins[number] if number < len(trace.origins) else {}
        for name, value in _values(options):
            if number == 0 and hints.get(name):
                yield OptionInEffect(name, hints[name], "client hint", f"{VARIABLE}ENABLE_CLIENT_HINTS")
            elif name == "format" and number == 0 and trace.named_format is not None:
                yield OptionInEffect(name, value, "URL")
            elif name in origins:
                applied = origins[name]
                origin = _origin(applied.presets, default=applied.default)
                yield OptionInEffect(name, _shown(name, value), origin, pipeline=number + 1)
            elif number == 0 and value is None and name in Settings.fields:
                variable = f"{VARIABLE}{name.upper()}"
                yield OptionInEffect(name, getattr(settings, name), "setting", variable)
    yield from _delivery(request.delivery, trace, settings)


def _delivery(delivery: DeliveryOptions, trace: OptionTrace, settings: Settings) -> Iterator[OptionInEffect]:
    for name, value in _values(delivery):
        applied = next((one[name] for one in reversed(trace.origins) if name in one), None)
        if applied is not None:
            yield OptionInEffect(name, _shown(name, value), _origin(applied.presets, default=applied.default))
        elif value is None and name in Settings.fields:
            yield OptionInEffect(name, getattr(settings, name), "setting", f"{VARIABLE}{name.upper()}")


def _values(record: Any) -> Iterator[tuple[str, Any]]:
    for one in fields(record):
        yield one.name, getattr(record, one.name)


def _shown(name: str, value: object) -> object:
    return shown_source(value) if name in _URLS and isinstance(value, str) else value


def file_quality(options: ProcessingOptions, settings: Settings, name: str) -> OptionInEffect | None:
    """The quality of a file in the format *name* where a setting decides it; None where the URL does, or nothing."""
    if options.quality or name in dict(options.format_quality) or not FORMATS[name].quality:
        return None
    by_format = settings.format_quality.get(name)
    variable = "FORMAT_QUALITY" if by_format else "QUALITY"
    return OptionInEffect("quality", by_format or settings.quality, "setting", VARIABLE + variable)
