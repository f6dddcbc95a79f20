"""Coalesced work with a state that all its callers share: the record of its stages, the reservation of its bytes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from imgforge.concurrency import Coalescer

__all__ = ["StatefulCoalescer"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
S = TypeVar("S")


class StatefulCoalescer(Coalescer[K, T], Generic[K, T, S]):
    """A `Coalescer` whose work and callers share what *make_state* returns."""

    def __init__(self, make_state: Callable[[], S]) -> None:
        super().__init__()
        self._make_state = make_state
        self._states: WeakValueDictionary[K, S] = WeakValueDictionary()  # held by the work and its callers

    def state(self, key: K) -> S:
        """The state of the work under way for *key*; a new one for work that the caller is about to start."""
        state = self._states.get(key) if key in self else None
        if state is None:
            state = self._states[key] = self._make_state()
        return state
