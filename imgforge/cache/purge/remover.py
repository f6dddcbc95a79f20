"""Removes purged files from a directory: one walk at a time, for all the purges that wait for one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from imgforge.cache.directory_walk import FoundFile, WalkStopped, entries, entries_beginning, remove
from imgforge.cache.entry_file import CorruptEntry, read_header
from imgforge.cache.purge.purges import Purges
from imgforge.cache.purge.searches import PurgeSearches, PurgeTask
from imgforge.concurrency import FileThreads
from imgforge.model import CacheEntry, Purge

__all__ = ["PurgeRemover", "is_purged"]

# Seconds that the caller of a purge waits for the count; the walk goes on after it.
_COUNT_WITHIN = 10.0


def is_purged(found: FoundFile, covers: Callable[[bytes, CacheEntry], bool]) -> bool:
    """Whether *covers* says so of the entry in a file; False for an unreadable file, which the next look-up removes."""
    header = _header(found)
    return header is not None and covers(*header)


def _header(found: FoundFile) -> tuple[bytes, CacheEntry] | None:
    try:
        return read_header(found[0].path)
    except (OSError, CorruptEntry):
        return None


class PurgeRemover:
    """Removes entries below *root*; *on_fault* is called with the faults of the medium."""

    def __init__(
        self, clock: IReactorTime, threads: FileThreads, root: str, on_fault: Callable[[Failure], None]
    ) -> None:
        self._threads = threads
        self._root = root
        self._on_fault = on_fault
        self._searches = PurgeSearches(clock, _COUNT_WITHIN, lambda tasks: self._run(partial(self._walk, tasks)))
        self._stopping = False

    def stop(self) -> None:
        """End the walk under way at its next directory; a look-up or a sweep removes the entries that it leaves."""
        self._stopping = True

    def remove(self, purge: Purge) -> Deferred[int]:
        """Remove the entries that *purge* covers; returns how many, as far as it is known in time."""
        if purge.kind == "url":
            return self._searches.remove_at_once(purge, lambda task: self._run(partial(self._remove_url, task)))
        return self._searches.remove(purge)

    def _run(self, work: Callable[[], None]) -> Deferred[None]:
        return self._threads.run(work).addErrback(self._on_fault)

    def _remove_url(self, task: PurgeTask) -> None:
        purges = Purges([task.purge])
        for found in entries_beginning(self._root, task.purge.value):
            task.removed += is_purged(found, purges.covers) and remove(found[0])

    def _walk(self, tasks: list[PurgeTask]) -> None:
        all_purges = Purges(task.purge for task in tasks)
        each_purge = [(task, Purges([task.purge])) for task in tasks]
        try:
            for found in entries(self._root, lambda: self._stopping):
                header = _header(found)
                if header is not None and all_purges.covers(*header) and remove(found[0]):
                    for task, purges in each_purge:
                        task.removed += purges.covers(*header)
        except WalkStopped:
            return
