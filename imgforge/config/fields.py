"""What a setting is: its type, bounds and description, and how a configured value becomes the setting's value.

A section is a class whose annotations are the types and whose values are made by `setting`:

    class Service(Section):
        timeout: Seconds = setting(30, description="Maximum seconds ...")

A type is int, float, bool, str, a Literal, or an Annotated one with `Bounds`, `Reads` or `Checks`. The modules of
sections do without `from __future__ import annotations`: their annotations are read at run time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

__all__ = ["Bounds", "Checks", "Field", "Reads", "Section", "SettingMistakes", "setting"]

_INTEGER = re.compile(r"[+-]?[0-9]{1,64}(_[0-9]{1,64})*(\.0+)?")
# What the usual patterns say.
_IN_WORDS = {
    r"^[a-z0-9-]*$": "must be lower-case letters, digits and hyphens",
    r"^[a-z0-9]*$": "must be lower-case letters and digits",
    r"^[\x21-\x7e]*$": "must be printable ASCII characters without blanks",
    r"^(https?://[\x21-\x7e]+)?$": "must be a URL that begins with http:// or https://",
}
_SWITCHES = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}

_MOST = 2**63


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least number (`ge`), the number that it must be above (`gt`), and the greatest (`le`)."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None

    def __str__(self) -> str:
        least = "" if self.ge is None else f"from {self.ge:.10g}"
        above = "" if self.gt is None else f"above {self.gt:.10g}"
        most = "" if self.le is None else f"to {self.le:.10g}"
        return " ".join(filter(None, (least or above, most)))

    def allow(self, number: float) -> bool:
        """Whether *number* is within the bounds, and one that all parts can reckon with."""
        return (
            abs(number) < _MOST
            and (self.ge is None or number >= self.ge)
            and (self.gt is None or number > self.gt)
            and (self.le is None or number <= self.le)
        )


@dataclass(frozen=True, slots=True)
class Reads:
    """In an Annotated type: `convert` makes the value of what is configured, text or TOML's; `ValueError` says what is
    allowed.

    `schema` is the JSON schema of what it takes, and `write` makes JSON of the value; without them as the type has it.
    """

    convert: Callable[[Any], Any]
    schema: Mapping[str, Any] | None = None
    write: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """In an Annotated type: `check` returns the value, or another form of it; `ValueError` says what is allowed."""

    check: Callable[[Any], Any]


class SettingMistakes(ValueError):
    """Values that are not allowed; `by_name` says what is allowed instead."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name} {allowed}" for name, allowed in by_name.items()))
        self.by_name = by_name


class Field:
    """A setting: its name, type and documentation; `read` makes its value."""

    def __init__(
        self,
        default: Any,
        description: str,
        bounds: Bounds,
        pattern: str,
        lengths: tuple[int, int | None],
    ) -> None:
        self.default = default
        self.description = description
        self.bounds = bounds
        self.name = ""
        self.annotation: Any = None
        self._pattern = re.compile(pattern) if pattern else None
        self._lengths = lengths
        self._readers: tuple[Reads, ...] = ()
        self._steps: list[Callable[[Any], Any]] = []

    def bind(self, name: str, annotation: Any) -> None:
        """Take the *name* and the type of the attribute."""
        metadata: tuple[Any, ...] = ()
        if get_origin(annotation) is Annotated:
            annotation, *rest = get_args(annotation)
            metadata = tuple(rest)
        self.name = name
        self.annotation = annotation
        self.bounds = next((one for one in metadata if isinstance(one, Bounds)), self.bounds)
        self._readers = tuple(one for one in metadata if isinstance(one, Reads))
        self._steps = [one.convert for one in self._readers]
        basic = {int: self._integer, float: self._number, bool: _switch, str: self._text}.get(annotation)
        if basic is not None:
            self._steps.append(basic)
        elif get_origin(annotation) is Literal:
            self._steps.append(self._choice)
        elif bool in get_args(annotation):  # bool | Literal[""]
            self._steps.append(_switch_or_empty)
        self._steps += [one.check for one in metadata if isinstance(one, Checks)]
        if self._lengths != (0, None):
            self._steps.append(self._check_length)

    def read(self, value: Any) -> Any:
        """The setting's value for a configured *value*; `ValueError` says what is allowed."""
        if isinstance(value, str) and "\0" in value:  # which no file name or header can hold
            raise ValueError("must not contain NUL")
        for step in self._steps:
            value = step(value)
        return value

    def write(self, value: Any) -> Any:
        """JSON of a *value* of the setting."""
        for reader in self._readers:
            if reader.write is not None:
                return reader.write(value)
        return value

    def schema(self) -> dict[str, Any]:
        """The JSON schema of what may be configured."""
        schema: dict[str, Any] = {"title": self.name.replace("_", " ").title(), "description": self.description}
        schema["default"] = self.write(self.default)
        read = next((one.schema for one in self._readers if one.schema is not None), None)
        schema |= read if read is not None else _schema_of(self.annotation)
        for word, bound in (("minimum", self.bounds.ge), ("exclusiveMinimum", self.bounds.gt)):
            if bound is not None:
                schema[word] = bound
        if self.bounds.le is not None:
            schema["maximum"] = self.bounds.le
        if self._pattern is not None:
            schema["pattern"] = self._pattern.pattern
        least, most = self._lengths
        if self.annotation is str:
            schema |= ({"minLength": least} if least else {}) | ({"maxLength": most} if most is not None else {})
        return schema

    def _integer(self, value: Any) -> int:
        number: Any = None
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            number = int(value.strip().partition(".")[0])
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1:
            number = int(value)
        if number is None or not self.bounds.allow(number):
            raise ValueError(f"must be an integer {self.bounds}".rstrip())
        return int(number)

    def _number(self, value: Any) -> float:
        number = math.nan
        if isinstance(value, (int, float)) or (isinstance(value, str) and value.isascii()):
            with suppress(ValueError, OverflowError):
                number = float(value)
        if isinstance(value, bool) or not self.bounds.allow(number):
            raise ValueError(f"must be a number {self.bounds}".rstrip())
        return number

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        # The whole of it: `$` alone would let a line feed through.
        if self._pattern is not None and not self._pattern.fullmatch(value):
            pattern = self._pattern.pattern
            raise ValueError(_IN_WORDS.get(pattern, f"must match the pattern {pattern}"))
        return value

    def _choice(self, value: Any) -> Any:
        choices = get_args(self.annotation)
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be one of {', '.join(choice or 'empty' for choice in choices)}")
        return value

    def _check_length(self, value: Any) -> Any:
        least, most = self._lengths
        if len(value) < least or (most is not None and len(value) > most):
            noun = "characters" if isinstance(value, str) else "values"
            raise ValueError(f"must have {f'{least} to {most}' if most is not None else f'at least {least}'} {noun}")
        return value


def setting(
    default: Any,
    *,
    description: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    pattern: str = "",
    min_length: int = 0,
    max_length: int | None = None,
) -> Any:
    """A setting of a `Section`; the type is the attribute's."""
    return Field(default, description, Bounds(ge, gt, le), pattern, (min_length, max_length))


class Section:
    """Settings that belong together; an instance is frozen, and has the values of its settings as attributes."""

    fields: ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls) -> None:
        """Collect the settings of the class and its bases, in the order in which they are written."""
        cls.fields = {name: field for base in cls.__bases__ for name, field in getattr(base, "fields", {}).items()}
        for name, annotation in cls.__annotations__.items():
            field = vars(cls).get(name)
            if isinstance(field, Field):
                field.bind(name, annotation)
                cls.fields[name] = field
                delattr(cls, name)

    def __init__(self, given: Mapping[str, Any]) -> None:
        """The settings that *given* has by name, and defaults; `SettingMistakes` with all that are not allowed."""
        values, mistakes = self.__dict__, {}
        for name, field in self.fields.items():
            try:
                values[name] = field.read(given.get(name, field.default))
            except ValueError as error:
                mistakes[name] = str(error)
        if mistakes:
            raise SettingMistakes(mistakes)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are frozen: {name} cannot be set to {value!r}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, name) == getattr(other, name) for name in self.fields)

    __hash__ = None  # type: ignore[assignment]  # some values are dicts

    def written(self) -> dict[str, Any]:
        """All values by name, as JSON has them."""
        return {name: field.write(getattr(self, name)) for name, field in self.fields.items()}


def _switch(value: Any) -> bool:
    if isinstance(value, str):
        value = _SWITCHES.get(value.lower())
    if not isinstance(value, (bool, int, float)) or value not in {0, 1}:
        raise ValueError("must be true or false")
    return bool(value)


def _switch_or_empty(value: Any) -> bool | str:
    try:
        return value if value == "" else _switch(value)
    except ValueError:
        raise ValueError("must be true, false or empty") from None


def _schema_of(annotation: Any) -> dict[str, Any]:
    names = {int: "integer", float: "number", bool: "boolean", str: "string"}
    if annotation in names:
        return {"type": names[annotation]}
    if get_origin(annotation) is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    return {"anyOf": [{"type": "boolean"}, {"type": "string", "const": ""}]}
