"""Removes from a directory what has been purged: one walk at a time, for all the purges that wait for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imgforge.cache.directory_walk import Found, Stopped, entries, entries_beginning, remove
from imgforge.cache.entry_file import CorruptEntry, read_header
from imgforge.cache.purge.purges import Purge, Purges
from imgforge.concurrency import FileThreads, IDiskReactor
from imgforge.model import CacheEntry

__all__ = ["Remover", "purged_file"]

# Seconds that whoever purges waits for the count; the walk goes on after it.
_COUNT_WITHIN = 10.0


def purged_file(found: Found, covered: Purges) -> bool:
    """Whether *covered* covers the entry in a file; not for one that cannot be read, which a look-up will judge."""
    header = _header(found)
    return header is not None and covered.cover(*header)


def _header(found: Found) -> tuple[bytes, CacheEntry] | None:
    try:
        return read_header(found[0].path)
    except (OSError, CorruptEntry):
        return None


@dataclass(eq=False)
class _Task:
    purge: Purge
    done: Deferred[None] = field(default_factory=Deferred)
    removed: int = 0


class Remover:
    """Works below *root*; what goes wrong with the medium is told to *fault*."""

    def __init__(self, clock: IDiskReactor, threads: FileThreads, root: str, fault: Callable[[Failure], None]) -> None:
        self._clock = clock
        self._threads = threads
        self._root = root
        self._fault = fault
        self._waiting: list[_Task] = []
        self._walking = False
        self._stopping = False

    def stop(self) -> None:
        """End the walk under way at its next directory; what it leaves is removed when it is found, or swept."""
        self._stopping = True

    def remove(self, purge: Purge) -> Deferred[int]:
        """Remove what *purge* covers; how many files that were, as far as is known in time."""
        task = _Task(purge)
        counted = task.done.addTimeout(_COUNT_WITHIN, self._clock, lambda _outcome, _seconds: None)
        if purge.kind == "url":
            self._run([task], partial(self._remove_url, task))
        else:
            self._waiting.append(task)
            self._next()
        return counted.addCallback(lambda _: task.removed)

    def _next(self) -> None:
        if self._walking or not self._waiting:
            return
        tasks, self._waiting = self._waiting, []
        self._walking = True
        self._run(tasks, partial(self._walk, tasks)).addCallback(self._walked)

    def _walked(self, _: None) -> None:
        self._walking = False
        self._next()

    def _run(self, tasks: list[_Task], work: Callable[[], None]) -> Deferred[None]:
        def finished(_: None) -> None:
            for task in tasks:
                task.done.callback(None)

        return self._threads.run(work).addErrback(self._fault).addCallback(finished)

    def _remove_url(self, task: _Task) -> None:
        covered = Purges([task.purge])
        for found in entries_beginning(self._root, task.purge.value):
            task.removed += purged_file(found, covered) and remove(found[0])

    def _walk(self, tasks: list[_Task]) -> None:
        together = Purges(task.purge for task in tasks)
        apart = [(task, Purges([task.purge])) for task in tasks]
        try:
            for found in entries(self._root, lambda: self._stopping):
                header = _header(found)
                if header is not None and together.cover(*header) and remove(found[0]):
                    for task, covered in apart:
                        task.removed += covered.cover(*header)
        except Stopped:
            return
