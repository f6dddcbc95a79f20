"""What a row of the options table is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from imgforge.urls.options.argument_types import Converter

__all__ = ["Argument", "Option", "Together"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument that sets one field."""

    field: str
    convert: Converter


@dataclass(frozen=True, slots=True)
class Together:
    """The remaining arguments, at most *most* of them, make one value: `make(arguments, what was set before)`."""

    field: str
    make: Callable[[Any, Any], object]
    usage: str
    most: int


@dataclass(frozen=True, slots=True)
class Option:
    """A row: `kind` is processing (decides pixels), delivery (decides headers), security (needs permission) or absent
    (decides nothing, for what this server does not do).

    `finish(arguments, fields set so far)` sets what follows from the arguments beside the fields of the parts.
    """

    name: str
    aliases: tuple[str, ...]
    parts: tuple[Argument | Together, ...]
    summary: str
    kind: str = "processing"
    finish: Callable[[Sequence[str], dict[str, Any]], None] | None = None

    @property
    def most(self) -> int:
        """How many arguments it takes at most."""
        return sum(part.most if isinstance(part, Together) else 1 for part in self.parts)

    @property
    def usage(self) -> str:
        """The arguments' names as they stand in a URL."""
        return ":".join(part.usage if isinstance(part, Together) else part.field for part in self.parts)
