"""From option texts such as `rs:fill:300:200` to the frozen option records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from imgforge.errors import BadOption, OptionForbidden
from imgforge.model import DeliveryOptions, ProcessingOptions
from imgforge.urls.options._table import BY_NAME, PRESET_NAMES, Option, Together

__all__ = ["DEFAULT_PRESET", "OptionParser", "ParsedOptions"]

DEFAULT_PRESET = "default"

# Together with the longest target this bounds the work of a hostile URL.
_MOST_OPTIONS = 200

_PROCESSING_DEFAULTS = {one.name: getattr(ProcessingOptions(), one.name) for one in fields(ProcessingOptions)}
_DELIVERY_DEFAULTS = {one.name: getattr(DeliveryOptions(), one.name) for one in fields(DeliveryOptions)}
_DEFAULTS = _PROCESSING_DEFAULTS | _DELIVERY_DEFAULTS


@dataclass(frozen=True, slots=True)
class ParsedOptions:
    """What a list of options comes to, and the presets that it used, in order."""

    processing: ProcessingOptions
    delivery: DeliveryOptions
    presets: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    """The fields set so far; later options win."""

    values: dict[str, Any] = field(default_factory=dict)
    presets: list[str] = field(default_factory=list)
    count: int = 0

    def get(self, name: str) -> Any:
        return self.values.get(name, _DEFAULTS[name])


class OptionParser:
    """Parses options under an operator's rules.

    *presets* are option texts by name; `ValueError` names the first that is wrong. An empty *allowed* allows all
    options; *security* permits those that loosen limits.
    """

    def __init__(
        self,
        *,
        separator: str = ":",
        presets: Mapping[str, str] | None = None,
        allowed: frozenset[str] = frozenset(),
        security: bool = False,
    ) -> None:
        unknown = allowed - BY_NAME.keys() - set(PRESET_NAMES)
        if unknown:
            raise ValueError(f"unknown processing option {min(unknown)!r}")
        self.separator = separator
        self._presets = {name: _texts(text) for name, text in (presets or {}).items()}
        # The names as resolved: allowing an option allows all its aliases.
        self._allowed = frozenset(BY_NAME[name].name if name in BY_NAME else "preset" for name in allowed)
        self._security = True  # an operator's own presets may loosen the limits
        for name, texts in self._presets.items():
            try:
                self._check_all(texts)
            except (BadOption, OptionForbidden) as error:
                raise ValueError(f"preset {name!r}: {error.message}") from None
        self._security = security

    def _check_all(self, texts: Iterable[str]) -> None:
        draft = _Draft()
        for text in texts:
            self._apply(text, draft, (), trusted=True)

    def parse(self, texts: Iterable[str], presets: Iterable[str] = ()) -> ParsedOptions:
        """The `default` preset, then *presets*, then the option *texts*."""
        draft = _Draft()
        if DEFAULT_PRESET in self._presets:
            self._expand(DEFAULT_PRESET, draft, ())
        for name in presets:
            draft.presets.append(name)
            self._expand(name, draft, ())
        for text in texts:
            self._apply(text, draft, (), trusted=False)
        return _freeze(draft)

    def _apply(self, text: str, draft: _Draft, inside: tuple[str, ...], *, trusted: bool) -> None:
        draft.count += 1
        if draft.count > _MOST_OPTIONS:
            raise BadOption(f"more than {_MOST_OPTIONS} options")
        name, *arguments = text.split(self.separator)
        if name in PRESET_NAMES:
            if not trusted and self._allowed and "preset" not in self._allowed:
                raise OptionForbidden("option 'preset' is not allowed here")
            for preset in arguments:
                if not inside:
                    draft.presets.append(preset)
                self._expand(preset, draft, inside)
            return
        option = BY_NAME.get(name)
        if option is None:
            raise BadOption(f"unknown option {name!r} in {text!r}")
        if not trusted and self._allowed and option.name not in self._allowed:
            raise OptionForbidden(f"option {name!r} is not allowed here")
        if not trusted and option.kind == "security" and not self._security:
            raise OptionForbidden(f"option {name!r} needs IMGFORGE_ALLOW_SECURITY_OPTIONS")
        try:
            _set(option, arguments or [""], draft)
        except ValueError as error:
            raise BadOption(f"option {text!r}: {error}") from None

    def _expand(self, name: str, draft: _Draft, inside: tuple[str, ...]) -> None:
        texts = self._presets.get(name)
        if texts is None:
            raise BadOption(f"unknown preset {name!r}")
        if name in inside:  # a preset that names itself adds nothing
            return
        for text in texts:
            self._apply(text, draft, (*inside, name), trusted=True)


def _texts(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("/") if part)


def _set(option: Option, arguments: list[str], draft: _Draft) -> None:
    if len(arguments) > option.most:
        raise ValueError(f"takes at most {option.most} arguments ({option.usage}), not {len(arguments)}")
    for index, part in enumerate(option.parts):
        if index >= len(arguments):
            break
        if isinstance(part, Together):
            draft.values[part.field] = part.make(arguments[index:], draft.get(part.field))
        elif arguments[index]:
            try:
                draft.values[part.field] = part.convert(arguments[index])
            except ValueError as error:
                raise ValueError(f"{part.field.replace('_', ' ')} {error}") from None
    if option.name == "zoom" and len(arguments) == 1:
        draft.values["zoom_y"] = draft.get("zoom_x")
    elif option.name == "rotate":
        angle = draft.get("rotate")
        if angle % 90:
            raise ValueError("the angle must be a multiple of 90")
        draft.values["rotate"] = angle % 360


def _freeze(draft: _Draft) -> ParsedOptions:
    processing = {name: value for name, value in draft.values.items() if name in _PROCESSING_DEFAULTS}
    delivery = {name: value for name, value in draft.values.items() if name in _DELIVERY_DEFAULTS}
    return ParsedOptions(ProcessingOptions(**processing), DeliveryOptions(**delivery), tuple(draft.presets))
