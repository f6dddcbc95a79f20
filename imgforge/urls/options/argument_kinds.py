"""What an argument of an option takes, for those that offer a choice of values: forms, documents, tests.

A converter turns text into a value and knows no more. Here each has a kind beside it, noted where the converter is
made, so that a form has the limits that the parser has.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["TEXT", "ArgumentKind", "Arguments", "arguments_of", "kind_of", "note_kind", "takes"]

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ArgumentKind:
    """The values of an argument: numbers from `low` to `high` (None: no bound worth a mention), or one of `choices`.

    A number with choices takes either. `above` says that `low` itself is not taken.
    """

    kind: Literal["integer", "number", "boolean", "choice", "color", "base64", "text"]
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    above: bool = False


TEXT = ArgumentKind("text")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a group by name, in order; the last `repeated` of them may come again and again."""

    kinds: tuple[tuple[str, ArgumentKind], ...] = ()
    repeated: int = 0

    def __add__(self, more: Arguments) -> Arguments:
        """These arguments and *more* after them."""
        return Arguments((*self.kinds, *more.kinds), more.repeated)


# By function; one that is made for a single request is forgotten with it.
_KINDS: MutableMapping[Any, ArgumentKind] = WeakKeyDictionary()
_ARGUMENTS: MutableMapping[Any, Arguments] = WeakKeyDictionary()


def note_kind(kind: ArgumentKind) -> Callable[[_F], _F]:
    """Decorate a converter of arguments of this *kind*."""

    def note(converter: _F) -> _F:
        _KINDS[converter] = kind
        return converter

    return note


def kind_of(converter: Callable[[str], object]) -> ArgumentKind:
    """The kind of arguments that *converter* takes; text where nothing was noted."""
    return _KINDS.get(converter, TEXT)


def takes(repeated: int = 0, /, **converters: Callable[[str], object]) -> Callable[[_F], _F]:
    """Decorate the function of a group whose arguments are converted by *converters*, by name and in order."""

    def note(make: _F) -> _F:
        _ARGUMENTS[make] = Arguments(tuple((name, kind_of(one)) for name, one in converters.items()), repeated)
        return make

    return note


def arguments_of(make: Callable[..., object]) -> Arguments:
    """The arguments of the group whose function is *make*."""
    return _ARGUMENTS.get(make, Arguments())
