"""The tier in Redis or Valkey: one string an entry, shared by all processes and hosts that use the server."""

from __future__ import annotations

import errno
import time
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from zope.interface import implementer

from imgforge.cache.entry_format import HEAD_BYTES, CorruptEntry, OldEntry, decode, encode
from imgforge.cache.purge import FINAL_AFTER
from imgforge.cache.redis.client import RedisClient
from imgforge.cache.redis.leases import RedisLease, RedisLeases
from imgforge.cache.redis.names import entry_name
from imgforge.cache.redis.purge_log import PurgeLog
from imgforge.cache.redis.purge_remover import PurgeRemover
from imgforge.cache.redis.settings import RedisSettings
from imgforge.concurrency import FileThreads
from imgforge.errors import PurgeFailed
from imgforge.interfaces import ICacheTier, IServerReactor, LearnPurges, TierUsage
from imgforge.model import CacheEntry, Purge

__all__ = ["RedisTier", "lifetime"]

# Threads, each with a connection at most: look-ups, leases, one that writes in the order of the calls, one that follows
# the purges, one that searches for purged entries. All together are the connections of a process.
_READERS = 8
_LEASERS = 3
_MOST_CONNECTIONS = _READERS + _LEASERS + 2
# Seconds that a server may take to answer; the cache waits less for a look-up.
_PATIENCE = 2.0
# Seconds that the recording of a purge may take.
_RECORD_WITHIN = 5.0
# Seconds that the writes under way, and the threads, may take when the tier stops.
_DRAIN = 3.0
# Seconds for which an entry is kept that is of use without end: so no purge must be remembered for longer.
_LONGEST_KEPT = 30 * 86400.0
_MOST_SECONDS = 10 * 365 * 86400.0


def lifetime(keep: float) -> float:
    """Seconds after which an entry in Redis expires, where it may be of use for *keep* seconds; 0 is without end."""
    return min(keep, _MOST_SECONDS) if keep else _LONGEST_KEPT


@implementer(ICacheTier)
class RedisTier:
    """Entries in the Redis of *settings* that expire after `lifetime` of *keep*."""

    name = "redis"
    log = Logger()

    def __init__(self, reactor: IServerReactor, settings: RedisSettings, keep: float) -> None:
        self._reactor = reactor
        self._longest = settings.max_entry_bytes
        self._lifetime = lifetime(keep)
        self._client = RedisClient(settings.address, _PATIENCE, _MOST_CONNECTIONS)
        self._searcher = RedisClient(settings.address, _PATIENCE, 1)
        self._readers = FileThreads(reactor, _READERS, _PATIENCE, "imgforge-redis")
        self._leasers = FileThreads(reactor, _LEASERS, _PATIENCE, "imgforge-redis-lease")
        self._writer = FileThreads(reactor, 1, _PATIENCE, "imgforge-redis-write")
        self._search = FileThreads(reactor, 1, _PATIENCE, "imgforge-redis-search")
        self._leases = RedisLeases(reactor, self._leasers, self._client)
        self._purges = PurgeLog(reactor, self._client, self._lifetime + FINAL_AFTER)
        self._remover = PurgeRemover(reactor, self._search, self._searcher)
        self._changes: set[Deferred[Any]] = set()

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """See `ICacheTier`."""
        for threads in (self._readers, self._leasers, self._writer, self._search):
            threads.start()
        return self._purges.start(learn)

    def close(self) -> Deferred[None]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._purges.stop()
        self._remover.stop()
        await self._within(_DRAIN, *self._changes, self._leases.close())
        # What waits for an answer now fails, so that no thread is left.
        self._client.close()
        self._searcher.close()
        for threads in (self._readers, self._leasers, self._writer, self._search):
            await threads.stop(_DRAIN)
        self._client.close()  # the connection of a call that began meanwhile

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """See `ICacheTier`; an entry that is larger than this process stores is a miss."""
        return Deferred.fromCoroutine(self._get(key))

    async def _get(self, key: bytes) -> CacheEntry | None:
        await self._purges.when_current()
        name = entry_name(key)

        def read() -> CacheEntry | None:
            with self._client.session() as redis:
                # Not more bytes than an entry may have, whatever is there.
                data: Any = redis.getrange(name, 0, self._longest)
                if not data or len(data) > self._longest:
                    return None
                try:
                    return decode(key, data)
                except CorruptEntry as error:
                    redis.unlink(name)
                    if isinstance(error, OldEntry):
                        return None
                    raise

        return await self._readers.run_with_timeout(read)

    def size_of(self, key: bytes) -> Deferred[int]:
        """See `ICacheTier`: the bytes of the string."""
        name = entry_name(key)

        def length() -> int:
            with self._client.session() as redis:
                size: Any = redis.strlen(name)
            return int(size) if size <= self._longest else 0

        return self._readers.run_with_timeout(length)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """See `ICacheTier`; OSError with EFBIG where *entry* is larger than the tier allows."""

        def write() -> None:
            if HEAD_BYTES + len(entry.rendition.body) > self._longest:
                raise OSError(errno.EFBIG, "the entry is larger than IMGFORGE_CACHE_REDIS_MAX_ENTRY_BYTES")
            start, body = encode(key, entry)
            if len(start) + len(body) > self._longest:
                raise OSError(errno.EFBIG, "the entry is larger than IMGFORGE_CACHE_REDIS_MAX_ENTRY_BYTES")
            with self._client.session() as redis:
                redis.set(entry_name(key), start + body, px=int(1000 * self._lifetime))

        return self._change(self._writer.run(write))

    def remove(self, key: bytes) -> Deferred[bool]:
        """See `ICacheTier`."""

        def unlink() -> bool:
            with self._client.session() as redis:
                return bool(redis.unlink(entry_name(key)))

        return self._change(self._writer.run(unlink))

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._purge(purge))

    async def _purge(self, purge: Purge) -> int:
        def late(_outcome: object, _seconds: float) -> None:
            raise PurgeFailed("the purge could not be recorded in time: other nodes may not know of it")

        recorded = self._readers.run(lambda: self._purges.record(purge))
        try:
            await recorded.addTimeout(_RECORD_WITHIN, self._reactor, late)
        except OSError as error:
            self.log.error("a purge could not be recorded in Redis, purge again once it works: {error}", error=error)
            raise PurgeFailed("the purge could not be recorded: other nodes do not know of it") from error
        return await self._remover.remove(purge)

    def purged_before(self) -> float:
        """See `ICacheTier`: what a purge of that time covers has expired."""
        return time.time() - self._lifetime - FINAL_AFTER

    def lease(self, key: bytes) -> RedisLease:
        """See `ICacheTier`."""
        return self._leases.lease(key)

    def usage(self) -> TierUsage | None:
        """See `ICacheTier`: not known; `imgforge cache stats --shared` counts."""
        return None

    def _change(self, change: Deferred[Any]) -> Deferred[Any]:
        self._changes.add(change)

        def ended(outcome: Any) -> Any:
            self._changes.discard(change)
            return outcome

        return change.addBoth(ended)

    def _within(self, seconds: float, *waited: Deferred[Any]) -> Deferred[None]:
        """Fires when all of *waited* have, or after *seconds*; they are not cancelled."""
        done: Deferred[None] = Deferred()
        DeferredList(list(waited), consumeErrors=True).addCallback(lambda _: done.callback(None))
        return done.addTimeout(seconds, self._reactor, lambda _outcome, _seconds: None)
