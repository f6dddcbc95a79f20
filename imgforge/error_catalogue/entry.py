"""A row of the catalogue of errors."""

from __future__ import annotations

from dataclasses import dataclass

from imgforge.errors import ImgforgeError

__all__ = ["Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What there is to say of some messages that have one cause and one cure.

    Attributes
    ----------
    anchor
        Its heading in docs/errors.md.
    part
        What is at fault: the option, the source and so on, as an operator calls it.
    errors
        The classes of the errors, which have the status.
    messages
        The texts that clients get; {} stands for what varies.
    cause, cure
        A sentence each: how it comes about, and what helps.
    settings
        The settings that decide it, by their names without the prefix.
    status
        The statuses of errors whose class has none of its own.
    """

    anchor: str
    part: str
    errors: tuple[type[ImgforgeError], ...]
    messages: tuple[str, ...]
    cause: str
    cure: str
    settings: tuple[str, ...] = ()
    status: tuple[int, ...] = ()

    @property
    def statuses(self) -> tuple[int, ...]:
        """The HTTP statuses, in order."""
        return self.status or tuple(sorted({one.status for one in self.errors}))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables of the settings."""
        return tuple(f"IMGFORGE_{name.upper()}" for name in self.settings)
