"""The tier in a bucket: an object for each entry."""

from __future__ import annotations

import errno
import os
from functools import partial

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.cache.bucket.object_names import ObjectNames
from imgforge.cache.bucket.purge_objects import PurgeObjects
from imgforge.cache.bucket.purge_remover import PurgeRemover
from imgforge.cache.bucket.stored_times import entry_moved
from imgforge.cache.bucket.sweeping import Sweeping
from imgforge.cache.entry_format import HEAD_BYTES, LONGEST_HEADER, CorruptEntry, OldEntry, decode, encode
from imgforge.concurrency import run_by_size
from imgforge.interfaces import ICacheTier, ILease, IServerReactor, LearnPurges, TierUsage
from imgforge.model import CacheEntry, Purge
from imgforge.object_stores import IObjectStore, ObjectTooLarge

__all__ = ["BucketTier"]

_LONGEST_BODY = 64 * 1024 * 1024  # bytes
_LONGEST_OBJECT = HEAD_BYTES + LONGEST_HEADER + _LONGEST_BODY
_CONTENT_TYPE = "application/octet-stream"  # it is an entry, which no browser should take for an image
_FINISH_WITHIN = 3.0  # seconds


@implementer(ICacheTier)
class BucketTier:
    """Entries in *store*, below the names' *prefix*; *name* is the tier's in logs and metrics.

    There are no leases: each node that misses an entry makes it. An entry is of no use after *keep* seconds; 0 is no
    end.
    """

    def __init__(self, reactor: IServerReactor, name: str, store: IObjectStore, prefix: str, keep: float) -> None:
        self.name = name
        self._reactor = reactor
        self._store = store
        self._keep = keep
        self._names = ObjectNames(prefix)
        self._remover = PurgeRemover(reactor, store, self._names)
        self._sweeping = Sweeping(reactor, store, self._names, self._remover, keep)
        self._purges = PurgeObjects(
            reactor, store, self._names, lambda age: self._sweeping.after_listing(self._purges, age)
        )
        self._writes: set[Deferred[None]] = set()

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """See `ICacheTier`."""
        return self._purges.start(learn)

    def close(self) -> Deferred[None]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._close())

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._get(key))

    def size_of(self, key: bytes) -> Deferred[int]:
        """See `ICacheTier`."""
        return self._store.size_of(self._names.entry(key)).addCallback(lambda size: size or 0)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """See `ICacheTier`; OSError for an entry that is too large."""
        if len(entry.rendition.body) > _LONGEST_BODY:
            return fail(OSError(errno.EFBIG, f"{os.strerror(errno.EFBIG)}: the bucket takes {_LONGEST_BODY} bytes"))
        return self._track(Deferred.fromCoroutine(self._put(key, entry_moved(entry, self._store.ahead()))))

    def remove(self, key: bytes) -> Deferred[bool]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._remove(key))

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`."""
        return Deferred.fromCoroutine(self._purge(purge))

    def purged_before(self) -> float:
        """See `ICacheTier`."""
        return self._purges.purged_before()

    def lease(self, key: bytes) -> ILease | None:  # noqa: ARG002
        """None: see `ICacheTier`."""
        return None

    def usage(self) -> TierUsage | None:
        """None: only a listing of the whole bucket could tell."""
        return None

    async def _put(self, key: bytes, entry: CacheEntry) -> None:
        data = await run_by_size(self._reactor, len(entry.rendition.body), lambda: b"".join(encode(key, entry)))
        await self._store.put(self._names.entry(key), data, _CONTENT_TYPE, self._keep)

    async def _get(self, key: bytes) -> CacheEntry | None:
        name = self._names.entry(key)
        try:
            data = await self._store.get(name, _LONGEST_OBJECT)
            if data is None:
                return None
            entry = await run_by_size(self._reactor, len(data), partial(decode, key, data, _LONGEST_BODY))
        except OldEntry:  # of another version, which may still use it; the next entry is written over it
            raise
        except CorruptEntry:
            self._remove_damaged(name)
            raise
        except ObjectTooLarge as error:
            self._remove_damaged(name)
            raise CorruptEntry(f"it is too long: {error}") from None
        entry = entry_moved(entry, -self._store.ahead())
        if self._keep and entry.stored_at < self._reactor.seconds() - self._keep:
            return None  # the purges that cover it may be forgotten by now
        return entry

    def _remove_damaged(self, name: str) -> None:
        self._track(self._store.remove(name)).addErrback(lambda _: None)  # the next entry is written over it

    async def _remove(self, key: bytes) -> bool:
        name = self._names.entry(key)
        if await self._store.size_of(name) is None:
            return False
        await self._store.remove(name)
        return True

    async def _purge(self, purge: Purge) -> int:
        await self._purges.record(purge)
        return await self._remover.remove(purge)

    def _track(self, writing: Deferred[None]) -> Deferred[None]:
        """*writing*, which `close` waits for; its failure is the caller's, or nobody's."""
        ended: Deferred[None] = Deferred(lambda _: writing.cancel())
        self._writes.add(writing)

        def end(outcome: Failure | None) -> None:
            self._writes.discard(writing)
            if isinstance(outcome, Failure):
                ended.errback(outcome)
            else:
                ended.callback(None)

        writing.addBoth(end)
        return ended

    async def _close(self) -> None:
        self._purges.stop()
        self._sweeping.stop()
        self._remover.stop()
        if self._writes:
            finishing = DeferredList([_ended(writing) for writing in self._writes], consumeErrors=True)
            await finishing.addTimeout(_FINISH_WITHIN, self._reactor, lambda _outcome, _seconds: None)
        for writing in list(self._writes):
            writing.cancel()
        await self._store.close()


def _ended(writing: Deferred[None]) -> Deferred[None]:
    """Fires when *writing* has ended, however it did; cancelling it leaves *writing* alone."""
    ended: Deferred[None] = Deferred()

    def tell(outcome: object) -> object:
        if not ended.called:
            ended.callback(None)
        return outcome

    writing.addBoth(tell)
    return ended
