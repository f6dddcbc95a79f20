"""Removes purged entries from a bucket: those of a URL by their names, others by reading what each says of itself."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.bucket.object_names import SHARDS, ObjectNames
from imgforge.cache.bucket.parallel import in_parallel
from imgforge.cache.bucket.stored_times import entry_moved
from imgforge.cache.entry_format import HEAD_BYTES, CorruptEntry, decode_header, read_head
from imgforge.cache.purge import FINAL_AFTER, Purges, PurgeSearches, PurgeTask
from imgforge.model import CacheEntry, Purge
from imgforge.object_stores import IObjectStore, ObjectStoreError, StoredObject

__all__ = ["PurgeRemover", "read_metadata"]

T = TypeVar("T")

_COUNT_WITHIN = 5.0  # seconds that the caller of a purge waits for the count
_MOST_AT_ONCE = 2000  # entries that are read for a purge; where there are more, a sweep removes them some day
_AT_ONCE, _SWEPT_AT_ONCE = 8, 2  # entries that are read side by side: a sweep has time, and clients share the processor
_PAUSES = (1.0, 5.0)  # seconds after a fault of the store until a sweep, which asks very often, tries again
_START = 4096  # bytes of an entry, in which its metadata almost always end


class _TooMany(Exception):
    """The bucket has more entries than are read for a purge."""


async def read_metadata(store: IObjectStore, name: str) -> tuple[bytes, CacheEntry, int] | None:
    """Key and entry, without its body, and the bytes of the body, as the object says; None where there is no object.

    `CorruptEntry` where it is no entry; the checksum is not checked. Times are the store's.
    """
    start = await store.get_start(name, _START)
    if start is None:
        return None
    head = read_head(start[:HEAD_BYTES])
    end = HEAD_BYTES + head.header
    if end > len(start):
        start = await store.get_start(name, end) or b""
    key, entry = decode_header(head, start[HEAD_BYTES:end])
    return key, entry, head.body


class PurgeRemover:
    """Removes entries from *store*; one search at a time, for all purges that wait for one."""

    log = Logger()

    def __init__(self, clock: IReactorTime, store: IObjectStore, names: ObjectNames) -> None:
        self._clock = clock
        self._store = store
        self._names = names
        self._searches = PurgeSearches(clock, _COUNT_WITHIN, lambda tasks: self._run(self._remove_found(tasks)))
        self._under_way: set[Deferred[None]] = set()

    def stop(self) -> None:
        """End all that is under way; known purges cover what is left."""
        for work in list(self._under_way):
            work.cancel()

    def remove(self, purge: Purge) -> Deferred[int]:
        """Remove the entries that *purge* covers; how many there were, as far as it is known in time."""
        if purge.kind == "url":
            return self._searches.remove_at_once(purge, lambda task: self._run(self._remove_url(task)))
        return self._searches.remove(purge)

    async def sweep(self, purges: dict[str, Purge]) -> int:
        """Remove all entries that *purges* cover; how many there were. Fails where the store does."""
        return await self._search(list(purges.values()), [], math.inf)

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        running: Deferred[None] = Deferred.fromCoroutine(work)
        self._under_way.add(running)

        def ended(outcome: Failure | None) -> None:
            self._under_way.discard(running)
            if isinstance(outcome, Failure) and not outcome.check(CancelledError):
                self.log.info(
                    "purged entries are left in the bucket, where nobody serves them: {error}", error=outcome.value
                )

        return running.addBoth(ended)

    async def _remove_url(self, task: PurgeTask) -> None:
        marker = ""
        while True:
            page = await self._store.page(self._names.entries(task.purge.value), marker)
            await in_parallel([partial(self._remove_variant, task, each.name) for each in page.objects])
            marker = page.marker
            if not marker:
                return

    async def _remove_variant(self, task: PurgeTask, name: str) -> None:
        if self._names.key(name) is not None:
            await self._store.remove(name)
            task.removed += 1

    async def _remove_found(self, tasks: list[PurgeTask]) -> None:
        try:
            await self._search([task.purge for task in tasks], tasks, _MOST_AT_ONCE)
        except _TooMany:
            self.log.debug("the bucket has too many entries to read them for a purge: a sweep removes those it covers")

    async def _search(self, purges: list[Purge], tasks: list[PurgeTask], most: float) -> int:
        """Read the entries that *purges* may cover, at most so many, and remove those that they do."""
        at_once = _AT_ONCE if tasks else _SWEPT_AT_ONCE
        ahead = self._store.ahead()
        latest = max(purge.at for purge in purges) + ahead + FINAL_AFTER
        covering = Purges(purges, self._clock.seconds)
        each_task = [(task, Purges([task.purge], self._clock.seconds)) for task in tasks]
        read = removed = 0
        unread: list[str] = []
        remove = self._remove_covered if tasks else partial(self._sweep_entry, unread)
        for shard in SHARDS:
            marker = ""
            while True:
                list_page = partial(self._store.page, self._names.entries(shard), marker)
                page = await (list_page() if tasks else self._tried_again(list_page))
                found = [each for each in page.objects if each.modified <= latest and self._names.key(each.name)]
                read += len(found)
                # Shards are alike: after the first one it can be told how many entries there are.
                if read > most or (shard == SHARDS[0] and 16 * read > 2 * most):
                    raise _TooMany
                results = await in_parallel([partial(remove, each, covering, each_task) for each in found], at_once)
                removed += sum(results)
                marker = page.marker
                if not marker:
                    break
        if unread:
            raise ObjectStoreError(
                f"{len(unread)} entries could not be read, the first is {unread[0]}; remove those that stay unreadable"
            )
        return removed

    async def _tried_again(self, work: Callable[[], Awaitable[T]]) -> T:
        """The outcome of *work*, which is tried again after a fault of the store."""
        for pause in _PAUSES:
            try:
                return await work()
            except ObjectStoreError:
                await deferLater(self._clock, pause)
        return await work()

    async def _sweep_entry(
        self, unread: list[str], found: StoredObject, covering: Purges, each_task: list[tuple[PurgeTask, Purges]]
    ) -> bool:
        """As `_remove_covered`, tried again after faults; where that does not help, add name and fault to *unread*."""
        try:
            return await self._tried_again(partial(self._remove_covered, found, covering, each_task))
        except ObjectStoreError as error:
            unread.append(f"{found.name} ({error})")
            return False

    async def _remove_covered(
        self, found: StoredObject, covering: Purges, each_task: list[tuple[PurgeTask, Purges]]
    ) -> bool:
        key = self._names.key(found.name)
        try:
            metadata = await read_metadata(self._store, found.name)
        except CorruptEntry:  # the next look-up finds out
            return False
        if metadata is None or key is None or metadata[0] != key:
            return False
        entry = entry_moved(metadata[1], -self._store.ahead())
        if not covering.covers(key, entry):
            return False
        await self._store.remove(found.name)
        for task, purges in each_task:
            task.removed += purges.covers(key, entry)
        return True
