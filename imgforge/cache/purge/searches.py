"""Searches for purged entries: one at a time, for all the purges that wait for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from imgforge.model import Purge

__all__ = ["PurgeSearches", "PurgeTask"]


@dataclass(eq=False)
class PurgeTask:
    """A purge, and how many entries a search has removed for it so far; *done* fires when the search has ended."""

    purge: Purge
    done: Deferred[None] = field(default_factory=Deferred)
    removed: int = 0


class PurgeSearches:
    """Has *search* remove entries; it counts them in its tasks, and its Deferred does not fail.

    A purge waits for the count for *count_within* seconds; its search goes on after them.
    """

    def __init__(
        self, clock: IReactorTime, count_within: float, search: Callable[[list[PurgeTask]], Deferred[Any]]
    ) -> None:
        self._clock = clock
        self._count_within = count_within
        self._search = search
        self._waiting: list[PurgeTask] = []
        self._searching = False

    def remove(self, purge: Purge) -> Deferred[int]:
        """Remove what *purge* covers by the next search; returns how many entries, as far as it is known in time."""
        task = PurgeTask(purge)
        counted = self._counted(task)
        self._waiting.append(task)
        self._next()
        return counted

    def remove_at_once(self, purge: Purge, removal: Callable[[PurgeTask], Deferred[Any]]) -> Deferred[int]:
        """The same by *removal*, which needs no search; its Deferred does not fail."""
        task = PurgeTask(purge)
        counted = self._counted(task)
        removal(task).addBoth(lambda _: _end([task]))
        return counted

    def _counted(self, task: PurgeTask) -> Deferred[int]:
        counted = task.done.addTimeout(self._count_within, self._clock, lambda _outcome, _seconds: None)
        return counted.addCallback(lambda _: task.removed)

    def _next(self) -> None:
        if self._searching or not self._waiting:
            return
        tasks, self._waiting = self._waiting, []
        self._searching = True

        def ended(_: Any) -> None:
            _end(tasks)
            self._searching = False
            self._next()

        self._search(tasks).addBoth(ended)


def _end(tasks: Sequence[PurgeTask]) -> None:
    for task in tasks:
        if not task.done.called:
            task.done.callback(None)
