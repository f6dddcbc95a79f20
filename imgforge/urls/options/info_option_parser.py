"""From option texts such as `p:8` to the frozen options of `/info`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imgforge.errors import BadOption, OptionForbidden
from imgforge.model import DeliveryOptions, InfoOptions
from imgforge.urls.options.info_table import INFO_BY_NAME
from imgforge.urls.options.option_parser import (
    AS_SENT,
    DEFAULT_PRESET,
    DELIVERY_DEFAULTS,
    MAX_OPTIONS,
    defaults_of,
    option_texts,
    set_fields,
)
from imgforge.urls.options.option_trace import OptionTrace, by_default
from imgforge.urls.options.suggestions import did_you_mean, unknown_option
from imgforge.urls.options.table import PRESET_NAMES

__all__ = ["InfoOptionParser"]

_NAMES = (*INFO_BY_NAME, *PRESET_NAMES)
_INFO_DEFAULTS = defaults_of(InfoOptions())
# Fields that rows set but neither record has are parsed and dropped.
_DEFAULTS = dict.fromkeys(INFO_BY_NAME) | _INFO_DEFAULTS | DELIVERY_DEFAULTS


@dataclass(slots=True)
class _Draft:
    """The fields set so far; later options win."""

    values: dict[str, Any] = field(default_factory=dict)
    presets: list[str] = field(default_factory=list)  # that the URL names, in order
    count: int = 0
    # As in the draft of `OptionParser`.
    sent: Mapping[str, str] = field(default_factory=dict)
    trace: OptionTrace | None = None

    def __post_init__(self) -> None:
        if self.trace is not None:
            self.values = self.trace.fields()


class InfoOptionParser:
    """Parses info options under an operator's rules.

    *presets* are option texts by name. An empty *allowed* allows all options; *security* permits the options that
    loosen limits. Neither restricts presets. Raises `ValueError` with one argument for each mistake in the rules.
    """

    def __init__(
        self, *, separator: str, presets: Mapping[str, str], security: bool, allowed: frozenset[str] = frozenset()
    ) -> None:
        unknown = allowed - INFO_BY_NAME.keys() - set(PRESET_NAMES)
        mistakes = [f"unknown info option {name!r}{did_you_mean(name, _NAMES)}" for name in sorted(unknown)]
        self._separator = separator
        self._presets = {name: option_texts(text) for name, text in presets.items()}
        self._security = security
        # The names as resolved: allowing an option allows all its aliases.
        self._allowed = frozenset(
            INFO_BY_NAME[name].name if name in INFO_BY_NAME else "preset" for name in allowed - unknown
        )
        for name in self._presets:
            try:
                self._expand(name, _Draft(), ())
            except BadOption as error:
                mistakes.append(f"info preset {name!r}: {error.message}")
        if mistakes:
            raise ValueError(*mistakes)

    def parse(
        self,
        texts: Iterable[str],
        presets: Iterable[str] = (),
        sent: Mapping[str, str] = AS_SENT,
        trace: OptionTrace | None = None,
    ) -> tuple[InfoOptions, DeliveryOptions, tuple[str, ...]]:
        """The options of the `default` preset, of *presets* and of *texts*, later ones win; and the presets named.

        *sent* has the texts that were percent-encoded, as sent; *trace* notes which text sets which field. Raises
        `BadOption` or `OptionForbidden`.
        """
        draft = _Draft(sent=sent, trace=trace)
        if DEFAULT_PRESET in self._presets:
            with by_default(trace):
                self._expand(DEFAULT_PRESET, draft, ())
        for name in presets:
            draft.presets.append(name)
            self._expand(name, draft, ())
        for text in texts:
            self._apply(text, draft, ())
        return (
            InfoOptions(**{name: value for name, value in draft.values.items() if name in _INFO_DEFAULTS}),
            DeliveryOptions(**{name: value for name, value in draft.values.items() if name in DELIVERY_DEFAULTS}),
            tuple(draft.presets),
        )

    def _apply(self, text: str, draft: _Draft, inside: tuple[str, ...]) -> None:
        draft.count += 1
        if draft.count > MAX_OPTIONS:
            raise BadOption(f"more than {MAX_OPTIONS} options")
        if draft.trace is not None:
            draft.trace.note(text, inside, 0)
        name, *arguments = text.split(self._separator)
        if name in PRESET_NAMES:
            self._check_allowed("preset", name, inside)
            for preset in arguments:
                if not inside:
                    draft.presets.append(preset)
                self._expand(preset, draft, inside)
            return
        option = INFO_BY_NAME.get(name)
        if option is None:
            raise BadOption(unknown_option("info option", name, arguments, draft.sent.get(text, text), _NAMES))
        self._check_allowed(option.name, name, inside)
        if option.kind == "security" and not inside and not self._security:
            raise OptionForbidden(f"option {name!r} needs IMGFORGE_ALLOW_SECURITY_OPTIONS")
        try:
            set_fields(option, arguments or [""], draft.values, _DEFAULTS)
        except ValueError as error:
            raise BadOption(f"info option {draft.sent.get(text, text)!r}: {error}") from None

    def _check_allowed(self, option: str, name: str, inside: tuple[str, ...]) -> None:
        if self._allowed and not inside and option not in self._allowed:
            raise OptionForbidden(f"info option {name!r} is not allowed here")

    def _expand(self, name: str, draft: _Draft, inside: tuple[str, ...]) -> None:
        texts = self._presets.get(name)
        if texts is None:
            raise BadOption(f"unknown info preset {name!r}{did_you_mean(name, self._presets)}")
        if name not in inside:  # a preset that names itself adds nothing
            for text in texts:
                self._apply(text, draft, (*inside, name))
