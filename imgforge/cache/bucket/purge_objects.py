"""The purges of all users of a bucket: a small object each, which every process lists every few seconds.

A purge object goes once nothing that it covers can be left: when entries so old are of no use, or a sweep has removed
them. So the purges that are in the bucket are those that count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.bucket.object_names import ObjectNames
from imgforge.cache.bucket.parallel import in_parallel
from imgforge.cache.bucket.stored_times import purge_moved
from imgforge.cache.purge import FINAL_AFTER
from imgforge.errors import PurgeFailed
from imgforge.interfaces import LearnPurges
from imgforge.model import Purge
from imgforge.object_stores import IObjectStore, ObjectStoreError, ObjectTooLarge

__all__ = ["PurgeObjects"]

_INTERVAL = 5.0  # seconds from one listing to the next
_PATIENCE = 10.0  # seconds for a listing with all that is read after it
_RECORD_WITHIN = 5.0  # seconds
# A listing may be behind: a purge is taken for removed only so many seconds after it was learnt.
_LISTED_WITHIN = 60.0
_LONGEST = 64 * 1024  # bytes of a purge
_MOST = 100_000  # purges; more are not the cache's
_WARN_INTERVAL = 60.0
_CONTENT_TYPE = "application/json"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Purge).decode


def _tell_nobody(purges: Sequence[Purge], *, replaced: bool = False) -> None:
    """Stands for what learns of purges, before `start`."""


@dataclass(frozen=True, slots=True)
class _Known:
    purge: Purge | None  # by this machine's clock; None for an object that holds none
    learnt_at: float


class PurgeObjects:
    """The purges in *store*. *after_listing* is called with the age in seconds of the last sweep, infinite for none."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        store: IObjectStore,
        names: ObjectNames,
        after_listing: Callable[[float], object] = lambda _age: None,
    ) -> None:
        self._clock = clock
        self._store = store
        self._names = names
        self._after_listing = after_listing
        self._learn: LearnPurges = _tell_nobody
        self._known: dict[str, _Known] = {}
        self._listed_at = -math.inf  # when the last whole listing began
        self._warned_at = -math.inf
        self._polling = LoopingCall(self._poll)
        self._polling.clock = clock
        self._poll_under_way: Deferred[None] = succeed(None)

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """List now and every few seconds; fires after the first listing, whether it succeeds or not."""
        self._learn = learn
        self._polling.start(_INTERVAL, now=True)
        first: Deferred[None] = Deferred()
        self._poll_under_way.addBoth(lambda _: first.callback(None))
        return first

    def stop(self) -> None:
        """List no more."""
        if self._polling.running:
            self._polling.stop()
        self._poll_under_way.cancel()

    async def record(self, purge: Purge) -> None:
        """Tell *purge* to all users of the bucket; `PurgeFailed` where that is not possible."""
        stored = purge_moved(purge, self._store.ahead())
        name = self._names.new_purge(stored.at)
        writing = self._store.put(name, _encode(stored), _CONTENT_TYPE)
        try:
            await writing.addTimeout(_RECORD_WITHIN, self._clock, self._late)
        except ObjectStoreError as error:
            self.log.error("a purge could not be recorded, purge again: {error}", error=error)
            failed = PurgeFailed("the purge could not be recorded in the shared cache: other nodes do not know of it")
            raise failed.caused_by(str(error)) from None
        self._known[name] = _Known(purge, self._clock.seconds())

    def older_than(self, at: float) -> dict[str, Purge]:
        """The purges before *at* that are in the bucket, by the names of their objects."""
        return {
            name: known.purge for name, known in self._known.items() if known.purge is not None and known.purge.at < at
        }

    async def remove(self, names: Collection[str]) -> None:
        """Remove these purges: nothing that they cover is left."""
        await in_parallel([partial(self._store.remove, name) for name in names])
        for name in names:
            self._known.pop(name, None)

    def purged_before(self) -> float:
        """See `ICacheTier`: purges that have gone from the bucket cover nothing, nor will those that were never there.

        So all before the oldest that is there, as far as the last listing has shown.
        """
        there = (known.purge.at for known in self._known.values() if known.purge is not None)
        return min(self._listed_at - FINAL_AFTER, min(there, default=math.inf))

    def _poll(self) -> Deferred[None]:
        polling = Deferred.fromCoroutine(self._list())
        polling.addTimeout(_PATIENCE, self._clock, self._late)
        polling.addErrback(self._failed)
        self._poll_under_way = polling
        return polling

    async def _list(self) -> None:
        began = self._clock.seconds()
        listed: set[str] = set()
        marker, swept_at, whole = "", -math.inf, True
        while True:
            page = await self._store.page(self._names.purges, marker)
            for each in page.objects:
                if self._names.is_purge(each.name):
                    listed.add(each.name)
                elif each.name == self._names.swept:
                    swept_at = each.modified
            marker = page.marker
            if len(listed) > _MOST:
                whole = False
                self.log.error(
                    "{where} has more than {most} purges, of which the latest are not obeyed: remove objects below "
                    "{prefix}",
                    where=self._store.where,
                    most=_MOST,
                    prefix=self._names.purges,
                )
            if not marker or not whole:
                break
        unread = await in_parallel(
            [partial(self._fault_of_reading, name) for name in sorted(listed - self._known.keys())]
        )
        for fault in filter(None, unread):  # the others have been read all the same
            raise fault
        if whole:
            for name, known in list(self._known.items()):
                if name not in listed and known.learnt_at < began - _LISTED_WITHIN:
                    del self._known[name]
            self._listed_at = began
        self._after_listing(self._clock.seconds() + self._store.ahead() - swept_at)

    async def _fault_of_reading(self, name: str) -> ObjectStoreError | None:
        """Read a purge, and learn of it; why it cannot be read, which the next listing tries again."""
        try:
            data = await self._store.get(name, _LONGEST)
        except ObjectTooLarge:
            data = b""
        except ObjectStoreError as error:
            return error
        if data is not None:  # else it has been removed meanwhile
            self._read(name, data)
        return None

    def _read(self, name: str, data: bytes) -> None:
        now = self._clock.seconds()
        try:
            purge: Purge | None = purge_moved(_decode(data), -self._store.ahead()).not_after(now)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.log.warn("{where}: {name} is no purge: {error}", where=self._store.where, name=name, error=error)
            purge = None
        self._known[name] = _Known(purge, now)
        if purge is not None:
            self._learn([purge])

    @staticmethod
    def _late(_outcome: object, seconds: float) -> None:
        raise ObjectStoreError(f"the store took longer than {seconds:g} seconds")

    def _failed(self, failure: Failure) -> None:
        """Log it, a fault of the store once a minute; the next listing follows."""
        if failure.check(CancelledError):
            return
        if not failure.check(ObjectStoreError):
            self.log.failure("the purges of {where} could not be listed", failure, where=self._store.where)
            return
        now = self._clock.seconds()
        if now - self._warned_at >= _WARN_INTERVAL:
            self._warned_at = now
            self.log.warn(
                "the purges of {where} cannot be listed ({error}): this process serves what other nodes purge until "
                "they can",
                where=self._store.where,
                error=failure.value,
            )
