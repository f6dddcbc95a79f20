"""The parts of a row in a table of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from imgforge.urls.options.argument_kinds import Arguments, arguments_of, kind_of
from imgforge.urls.options.argument_types import Converter

__all__ = ["Argument", "ArgumentGroup", "Option"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument that sets one field; `convert` raises ValueError for text that it rejects."""

    field: str
    convert: Converter


@dataclass(frozen=True, slots=True)
class ArgumentGroup:
    """The remaining arguments, at most `max_arguments`, make one value: `make(arguments, value set before)`."""

    field: str
    make: Callable[[Any, Any], object]
    usage: str
    max_arguments: int


@dataclass(frozen=True, slots=True)
class Option:
    """A row of the table.

    Attributes
    ----------
    name, aliases
        The names in URLs.
    parts
        The arguments, in order.
    summary
        One line for the documentation.
    kind
        processing (decides pixels), delivery (decides headers), security (needs the operator's permission) or absent
        (this server lacks the feature; the option may be off).
    finish
        `finish(arguments, fields set so far)` sets further fields that follow from the arguments.
    """

    name: str
    aliases: tuple[str, ...]
    parts: tuple[Argument | ArgumentGroup, ...]
    summary: str
    kind: str = "processing"
    finish: Callable[[Sequence[str], dict[str, Any]], None] | None = None

    @property
    def max_arguments(self) -> int:
        """The largest number of arguments."""
        return sum(part.max_arguments if isinstance(part, ArgumentGroup) else 1 for part in self.parts)

    @property
    def usage(self) -> str:
        """The names of the arguments, as in a URL."""
        return ":".join(part.usage if isinstance(part, ArgumentGroup) else part.field for part in self.parts)

    @property
    def arguments(self) -> Arguments:
        """The arguments by name, and what each takes."""
        return sum((_arguments(part) for part in self.parts), Arguments())


def _arguments(part: Argument | ArgumentGroup) -> Arguments:
    if isinstance(part, ArgumentGroup):
        return arguments_of(part.make)
    return Arguments(((part.field, kind_of(part.convert)),))
