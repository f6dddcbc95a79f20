"""What a request asks for, in words for operators: the options in effect, presets expanded, without secrets.

Texts come from the parsed request, and not from its target: that one has a signature, and may have the source's query.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from imgforge.model import ImageRequest, InfoRequest
from imgforge.observability.request_record import shown_source

__all__ = ["asked_options", "options_text"]

_LONGEST_VALUE = 100  # characters
_LONGEST_TEXT = 300


def asked_options(image: ImageRequest | InfoRequest | None) -> dict[str, str]:
    """The options that *image* sets, by name; those of chained pipelines have their number before the name.

    >>> from imgforge.model import ProcessingOptions
    >>> asked_options(ImageRequest("http://a/b.png", ProcessingOptions(width=100, zoom_x=0.5)))
    {'width': '100', 'zoom_x': '0.5'}
    """
    if image is None:
        return {}
    asked = _changed(image.options)
    if isinstance(image, ImageRequest):
        for number, chained in enumerate(image.chained, 2):
            asked |= {f"{number}.{name}": text for name, text in _changed(chained).items()}
    if image.delivery.raw:
        asked["raw"] = "1"
    if image.presets:
        asked["preset"] = _cut(":".join(image.presets), _LONGEST_VALUE)
    return asked


def options_text(image: ImageRequest | InfoRequest | None) -> str:
    """The same in one line of at most 300 characters, such as `width=100 zoom_x=0.5`."""
    return _cut(" ".join(f"{name}={text}" for name, text in asked_options(image).items()), _LONGEST_TEXT)


def _default(field: Field[Any]) -> object:
    return field.default if field.default is not MISSING else None


_DEFAULTS: dict[type, tuple[tuple[str, object], ...]] = {}


def _changed(options: Any) -> dict[str, str]:
    kind = type(options)
    if kind not in _DEFAULTS:
        _DEFAULTS[kind] = tuple((field.name, _default(field)) for field in fields(kind))
    return {
        name: _cut(_shown(name, value), _LONGEST_VALUE)
        for name, default in _DEFAULTS[kind]
        if (value := getattr(options, name)) != default
    }


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return shown_source(value) if name.endswith("_url") or "://" in value else value
    if is_dataclass(value):
        return ":".join(_shown(field.name, getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple):
        return ":".join(_shown(name, one) for one in value)
    return "" if value is None else str(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."
