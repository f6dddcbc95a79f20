"""Lines of which those beyond the bound are dropped; a line in their place says how many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from imgforge.observability.line_writer import LineThread

__all__ = ["CountedLines"]

T = TypeVar("T")


class CountedLines(LineThread):
    """A `LineThread` whose `put` drops and counts what does not fit; any thread may call it.

    *notice* makes the line that says how many were dropped.
    """

    def __init__(self, most: int, name: str, notice: Callable[[int], str]) -> None:
        super().__init__(most, name)
        self._notice = notice
        # Reentrant, as a handler of a signal may log while its thread does.
        self._lock = threading.RLock()
        self._dropped = 0
        self._notices = 0  # that wait in the queue
        self._said = 0  # by the last notice

    def put(self, line: Callable[[T], str], items: Sequence[T], size: int) -> bool:
        """See `LineThread`; lines that do not fit are dropped."""
        with self._lock:
            if self._dropped and not self._notices:
                self._put_notice()
            if super().put(line, items, size):
                return True
            self._dropped += len(items)
            if not self._notices:
                self._put_notice()
            return False

    def lost(self, items: Sequence[Any]) -> None:
        """See `LineThread`: the lines count as dropped, and the next one that is delivered says so."""
        with self._lock:
            self._dropped += self._said if items[0] is None else len(items)  # None: it was a notice

    def _put_notice(self) -> None:
        """Queue a notice, of no size, behind what waits; it counts what is dropped until it is delivered."""
        self._notices += 1
        super().put(self._take_notice, (None,), 0)

    def _take_notice(self, _: None) -> str:
        with self._lock:
            self._notices -= 1
            self._said, self._dropped = self._dropped, 0
            return self._notice(self._said)
