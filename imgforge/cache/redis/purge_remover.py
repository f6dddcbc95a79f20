"""Removes purged entries from Redis: one search through all keys at a time, for all the purges that wait for one."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.purge import Purges, PurgeSearches, PurgeTask
from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.faults import RedisFault
from imgforge.cache.redis.stored_entries import StoredEntry, batches, leave_untouched, read_metadata
from imgforge.concurrency import FileThreads
from imgforge.model import Purge

__all__ = ["PurgeRemover"]

# Seconds that the caller of a purge waits for the count; the search goes on after it.
_COUNT_WITHIN = 3.0


class PurgeRemover:
    """Removes entries by *client*, which nothing else uses, on the one thread of *threads*."""

    log = Logger()

    def __init__(self, clock: IReactorTime, threads: FileThreads, client: RedisClient) -> None:
        self._threads = threads
        self._client = client
        self._searches = PurgeSearches(clock, _COUNT_WITHIN, self._run)
        self._stopping = False

    def stop(self) -> None:
        """End the search under way; nothing that it leaves is served, and it expires."""
        self._stopping = True

    def remove(self, purge: Purge) -> Deferred[int]:
        """Remove the entries that *purge* covers; returns how many, as far as it is known in time."""
        return self._searches.remove(purge)

    def _run(self, tasks: list[PurgeTask]) -> Deferred[None]:
        return self._threads.run(lambda: self._search(tasks)).addErrback(self._failed)

    def _search(self, tasks: list[PurgeTask]) -> None:
        all_purges = Purges(task.purge for task in tasks)
        each_purge = [(task, Purges([task.purge])) for task in tasks]
        beginnings = {task.purge.value if task.purge.kind == "url" else "" for task in tasks}
        leave_untouched(self._client)
        for names in batches(self._client, beginnings.pop() if len(beginnings) == 1 else ""):
            if self._stopping:
                return
            stored = zip(names, read_metadata(self._client, names), strict=True)
            found = [(name, one) for name, one in stored if isinstance(one, StoredEntry)]
            covered = [(name, one) for name, one in found if all_purges.covers(one.key, one.entry)]
            for (_, one), removed in zip(covered, self._remove([name for name, _ in covered]), strict=True):
                for task, purges in each_purge:
                    task.removed += removed and purges.covers(one.key, one.entry)

    def _remove(self, names: list[bytes]) -> list[int]:
        """Remove what is called so; 1 for each name that was there."""
        with self._client.session() as redis, redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.unlink(name)
            removed: list[int] = pipeline.execute()
        return removed

    def _failed(self, failure: Failure) -> None:
        """Nobody serves what the search has left; it expires."""
        if failure.check(RedisFault):
            self.log.warn("purged entries are not served, but some still take space: {error}", error=failure.value)
        else:
            self.log.failure("the search for purged entries failed; they are not served", failure)
