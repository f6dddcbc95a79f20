"""The values of an explanation, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

from imgforge.error_catalogue import DOCUMENT, entry_of
from imgforge.errors import ImgforgeError
from imgforge.model import Color, Size

__all__ = ["Explanation", "OptionInEffect", "Preset", "SettingThatMattered", "plain"]

VARIABLE = "IMGFORGE_"

# In place of the catalogue's, which name this very explanation.
_CURES = {"signature-mismatch": "The part `signature` here names the usual mistakes of programs that sign."}


class OptionInEffect(NamedTuple):
    """An option in effect: its value, and where that comes from.

    `origin` is URL, preset NAME, default preset, client hint, setting or computed; `setting` the variable that decides
    it ("" for none), `pipeline` the number of the pipeline, from 1 on.
    """

    name: str
    value: object
    origin: str
    setting: str = ""
    pipeline: int = 1

    def as_json(self) -> dict[str, object]:
        """The contract's keys, and the pipeline."""
        return {
            "name": self.name,
            "value": plain(self.value),
            "from": self.origin,
            "setting": self.setting or None,
            "pipeline": self.pipeline,
        }


class Preset(NamedTuple):
    """A preset that applies: who named it, and the options in it."""

    name: str
    origin: str
    options: tuple[str, ...]


class SettingThatMattered(NamedTuple):
    """A setting's variable and value (secrets masked), and what it decided."""

    name: str
    value: object
    why: str


@dataclass(slots=True)
class Explanation:
    """All that is known of a URL; `errors` are its mistakes, in the order in which the server would find them.

    `hint` says what a refused URL in the form of another server's is, "" for none.
    `kind` is image, raw (the source as it is) or info; `stages` are (stage, before, after, acts, pipeline).
    """

    kind: str = "image"
    signature: dict[str, object] = field(default_factory=dict)
    presets: list[Preset] = field(default_factory=list)
    options: list[OptionInEffect] = field(default_factory=list)
    source: str = ""
    format: dict[str, object] = field(default_factory=lambda: {"chosen": None, "why": ""})
    cache: dict[str, object] = field(default_factory=lambda: {"result": None, "original": None})
    stages: list[dict[str, object]] = field(default_factory=list)
    sizes: dict[str, object] = field(default_factory=lambda: {"source": None, "result": None})
    settings: list[SettingThatMattered] = field(default_factory=list)
    errors: list[ImgforgeError] = field(default_factory=list)
    hint: str = ""

    @property
    def error(self) -> str:
        """The message with which the URL would be refused, "" for none."""
        return self.errors[0].message if self.errors else ""

    def as_json(self) -> dict[str, Any]:
        """The explanation as values of JSON."""
        return {
            "kind": self.kind,
            "signature": self.signature,
            "presets": [{"name": one.name, "from": one.origin, "options": list(one.options)} for one in self.presets],
            "options": [one.as_json() for one in self.options],
            "source": self.source or None,
            "format": self.format,
            "cache": self.cache,
            "stages": self.stages,
            "sizes": self.sizes,
            "settings": [{"name": one.name, "value": plain(one.value), "why": one.why} for one in self.settings],
            "error": self.error or None,
            "errors": [_described(error) for error in self.errors],
            "hint": self.hint or None,
        }


def _described(error: ImgforgeError) -> dict[str, object]:
    """The error as docs/errors.md has it; without an entry there the message alone."""
    entry = entry_of(error)
    described: dict[str, object] = {"message": error.message, "status": error.status}
    if entry is not None:
        described |= {"part": entry.part, "cause": entry.cause, "cure": _CURES.get(entry.anchor, entry.cure)}
        described |= {"settings": list(entry.variables), "see": f"{DOCUMENT}#{entry.anchor}"}
    return described


def plain(value: object) -> Any:
    """*value* of an option as JSON has it: colours in hexadecimal, records by their fields that are set."""
    if isinstance(value, Color):
        return f"{value.red:02x}{value.green:02x}{value.blue:02x}"
    if isinstance(value, Size):
        return [value.width, value.height]
    if is_dataclass(value) and not isinstance(value, type):
        by_name = {one.name: getattr(value, one.name) for one in fields(value)}
        return {name: plain(one) for name, one in by_name.items() if one is not None}
    if isinstance(value, float) and math.isinf(value):
        return "max"
    if isinstance(value, (tuple, list, frozenset, set)):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value
