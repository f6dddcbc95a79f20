"""What the tier in a bucket needs of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from imgforge.interfaces import IServerReactor
from imgforge.object_stores import IObjectStore

__all__ = ["BucketSettings"]


def _none() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """The bucket's settings: `open` opens it, `prefix` is before the names of all its objects, without a slash.

    `mistakes` gives a line for each reason why it cannot be opened.
    """

    open: Callable[[IServerReactor], IObjectStore] = field(repr=False)
    prefix: str = ""
    mistakes: Callable[[], Iterable[str]] = field(default=_none, repr=False)
