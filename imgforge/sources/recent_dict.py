"""A table of origins that cannot grow with the number of URLs: the oldest row goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

__all__ = ["RecentDict"]

K = TypeVar("K")
V = TypeVar("V")


def _ignore(_key: object) -> None:
    """Nobody has to know."""


class RecentDict(OrderedDict[K, V]):
    """At most *most* keys: setting one more drops the one that was set longest ago, which *dropped* is told of."""

    def __init__(self, most: int, dropped: Callable[[K], None] = _ignore) -> None:
        super().__init__()
        self._most = most
        self._dropped = dropped

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            oldest = next(iter(self))
            del self[oldest]
            self._dropped(oldest)
