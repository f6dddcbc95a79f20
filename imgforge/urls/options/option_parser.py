"""From option texts such as `rs:fill:300:200` to the frozen option records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from imgforge.errors import BadOption, OptionForbidden
from imgforge.model import DeliveryOptions, Hints, ProcessingOptions
from imgforge.urls.options.argument_types import boolean
from imgforge.urls.options.option import ArgumentGroup, Option
from imgforge.urls.options.option_trace import OptionTrace, by_default
from imgforge.urls.options.suggestions import did_you_mean, unknown_option
from imgforge.urls.options.table import BY_NAME, PRESET_NAMES

__all__ = [
    "AS_SENT",
    "CHAIN",
    "DEFAULT_PRESET",
    "DELIVERY_DEFAULTS",
    "MAX_OPTIONS",
    "OptionParser",
    "ParsedOptions",
    "defaults_of",
    "option_texts",
    "set_fields",
]

DEFAULT_PRESET = "default"

AS_SENT: Mapping[str, str] = MappingProxyType({})

# Separates the options of chained pipelines.
CHAIN = "-"

# With the limit on a target's length this bounds the work of a hostile URL; a new pipeline counts as one option.
MAX_OPTIONS = 200


def defaults_of(record: Any) -> dict[str, Any]:
    """The fields of a record, by name, with their defaults."""
    return {one.name: getattr(record, one.name) for one in fields(record)}


_PROCESSING_DEFAULTS = defaults_of(ProcessingOptions())
DELIVERY_DEFAULTS = defaults_of(DeliveryOptions())
_NAMES = (*BY_NAME, *PRESET_NAMES)
_HINTABLE = frozenset(Hints._fields)
# Fields that rows set but neither record has are parsed and dropped; `padding_sides` becomes a padding at the end.
_DEFAULTS = dict.fromkeys(BY_NAME) | _PROCESSING_DEFAULTS | DELIVERY_DEFAULTS | {"padding_sides": {}}


@dataclass(frozen=True, slots=True)
class ParsedOptions:
    """The parsed options and the names of the presets that they used, in order; fields as in `ImageRequest`.

    `set_fields` are those of the first pipeline that are set.
    """

    set_fields: Mapping[str, Any]
    delivery: DeliveryOptions
    presets: tuple[str, ...]
    chained: tuple[ProcessingOptions, ...] = ()
    unset: frozenset[str] = frozenset()

    @property
    def processing(self) -> ProcessingOptions:
        """The options of the first pipeline."""
        return ProcessingOptions(**self.set_fields)

    def processing_to(self, format_name: str | None) -> ProcessingOptions:
        """The same, with this format unless it is None."""
        return (
            self.processing if format_name is None else ProcessingOptions(**{**self.set_fields, "format": format_name})
        )


@dataclass(slots=True)
class _Draft:
    """The fields set so far in each pipeline; later options win."""

    pipelines: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    presets: list[str] = field(default_factory=list)
    count: int = 0
    # The sent form of option texts that were percent-encoded: errors quote the client's URL.
    sent: Mapping[str, str] = field(default_factory=dict)
    trace: OptionTrace | None = None

    def __post_init__(self) -> None:
        if self.trace is not None:
            self.pipelines = [self.trace.fields()]

    def add(self) -> None:
        """Count one more option."""
        self.count += 1
        if self.count > MAX_OPTIONS:
            raise BadOption(f"more than {MAX_OPTIONS} options")

    def pipeline(self, number: int) -> dict[str, Any]:
        """The fields of pipeline *number*, created along with those before it."""
        while len(self.pipelines) <= number:
            self.pipelines.append({} if self.trace is None else self.trace.fields())
        return self.pipelines[number]


class OptionParser:
    """Parses options under an operator's rules.

    *presets* are option texts by name. An empty *allowed* allows all options; *security* permits the options that
    loosen limits; *pipelines* is the maximum number of chained pipelines, 0 is no limit. None of these restricts
    presets. Raises `ValueError` with one argument for each mistake in the rules.
    """

    def __init__(
        self,
        *,
        separator: str = ":",
        presets: Mapping[str, str] | None = None,
        allowed: frozenset[str] = frozenset(),
        security: bool = False,
        pipelines: int = 10,
    ) -> None:
        unknown = allowed - BY_NAME.keys() - set(PRESET_NAMES)
        mistakes = [f"unknown processing option {name!r}{did_you_mean(name, _NAMES)}" for name in sorted(unknown)]
        self.separator = separator
        self._presets = {name: option_texts(text) for name, text in (presets or {}).items()}
        # The names as resolved: allowing an option allows all its aliases.
        self._allowed = frozenset(BY_NAME[name].name if name in BY_NAME else "preset" for name in allowed - unknown)
        self._security = security
        self._pipelines = pipelines
        for name, texts in self._presets.items():
            try:
                self._check_all(texts)
            except BadOption as error:
                mistakes.append(f"preset {name!r}: {error.message}")
        if mistakes:
            raise ValueError(*mistakes)

    def _check_all(self, texts: Iterable[str]) -> None:
        self._apply_all(texts, _Draft(), 0, (), trusted=True)

    def parse(
        self,
        texts: Iterable[str],
        presets: Iterable[str] = (),
        sent: Mapping[str, str] = AS_SENT,
        trace: OptionTrace | None = None,
    ) -> ParsedOptions:
        """The options of the `default` preset, of *presets* and of *texts*; later ones win.

        *sent* has the texts that were percent-encoded, as sent; *trace* notes which text sets which field. Raises
        `BadOption` or `OptionForbidden`.
        """
        draft = _Draft(sent=sent, trace=trace)
        if DEFAULT_PRESET in self._presets:
            with by_default(trace):
                self._expand(DEFAULT_PRESET, draft, 0, ())
        for name in presets:
            draft.presets.append(name)
            self._expand(name, draft, 0, ())
        self._apply_all(texts, draft, 0, (), trusted=False)
        return _freeze(draft)

    def _apply_all(
        self, texts: Iterable[str], draft: _Draft, number: int, inside: tuple[str, ...], *, trusted: bool
    ) -> None:
        """Apply *texts* from pipeline *number* on; `CHAIN` starts the next one."""
        for text in texts:
            if text == CHAIN:
                number += 1
                if not trusted and 0 < self._pipelines <= number:
                    raise BadOption(f"the number of chained pipelines is above {self._pipelines}")
                draft.add()
                draft.pipeline(number)
            else:
                self._apply(text, draft, number, inside, trusted=trusted)

    def _apply(self, text: str, draft: _Draft, number: int, inside: tuple[str, ...], *, trusted: bool) -> None:
        draft.add()
        if draft.trace is not None:
            draft.trace.note(text, inside, number)
        name, *arguments = text.split(self.separator)
        if name in PRESET_NAMES:
            if not trusted and self._allowed and "preset" not in self._allowed:
                raise OptionForbidden("option 'preset' is not allowed here")
            for preset in arguments:
                if not inside:
                    draft.presets.append(preset)
                self._expand(preset, draft, number, inside)
            return
        option = BY_NAME.get(name)
        if option is None:
            raise BadOption(unknown_option("option", name, arguments, draft.sent.get(text, text), _NAMES))
        if not trusted and self._allowed and option.name not in self._allowed:
            raise OptionForbidden(f"option {name!r} is not allowed here")
        if not trusted and option.kind == "security" and not self._security:
            raise OptionForbidden(f"option {name!r} needs IMGFORGE_ALLOW_SECURITY_OPTIONS")
        try:
            set_fields(option, arguments or [""], draft.pipeline(number))
        except ValueError as error:
            raise BadOption(f"option {draft.sent.get(text, text)!r}: {error}") from None

    def _expand(self, name: str, draft: _Draft, number: int, inside: tuple[str, ...]) -> None:
        texts = self._presets.get(name)
        if texts is None:
            raise BadOption(f"unknown preset {name!r}{did_you_mean(name, self._presets)}")
        if name in inside:  # a preset that names itself adds nothing
            return
        self._apply_all(texts, draft, number, (*inside, name), trusted=True)


def option_texts(text: str) -> tuple[str, ...]:
    """The options in a preset's text."""
    return tuple(part for part in text.split("/") if part)


def set_fields(
    option: Option, arguments: list[str], values: dict[str, Any], defaults: Mapping[str, Any] = _DEFAULTS
) -> None:
    """Set the fields of *option* in *values*; *defaults* are used for fields that were not set before.

    Raises `ValueError`, whose message a client may see.
    """
    if len(arguments) > option.max_arguments:
        raise ValueError(f"takes at most {option.max_arguments} arguments ({option.usage}), not {len(arguments)}")
    for index, part in enumerate(option.parts):
        if index >= len(arguments):
            break
        if isinstance(part, ArgumentGroup):
            values[part.field] = part.make(arguments[index:], values.get(part.field, defaults[part.field]))
        elif arguments[index] or (
            part.convert is boolean and len(option.parts) == 1
        ):  # a switch without an argument is off
            try:
                values[part.field] = part.convert(arguments[index])
            except ValueError as error:
                raise ValueError(f"{part.field.replace('_', ' ')} {error}") from None
    if option.finish is not None:
        option.finish(arguments, values)


def _freeze(draft: _Draft) -> ParsedOptions:
    first, *chained = (
        {name: value for name, value in values.items() if name in _PROCESSING_DEFAULTS} for values in draft.pipelines
    )
    delivery = {
        name: value for values in draft.pipelines for name, value in values.items() if name in DELIVERY_DEFAULTS
    }
    unset = _HINTABLE - draft.pipelines[0].keys()
    pipelines = tuple(ProcessingOptions(**values) for values in chained)
    return ParsedOptions(first, DeliveryOptions(**delivery), tuple(draft.presets), pipelines, unset)
