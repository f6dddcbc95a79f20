"""What a bucket holds, for `imgforge cache`, whose methods block: the reactor runs on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.threads import blockingCallFromThread

from imgforge.cache.bucket.object_names import SHARDS, ObjectNames
from imgforge.cache.bucket.purge_remover import read_metadata
from imgforge.cache.bucket.settings import BucketSettings
from imgforge.cache.bucket.stored_times import entry_moved
from imgforge.cache.entry_format import LONGEST_BODY, CorruptEntry, decode
from imgforge.cache.eviction import Sweep
from imgforge.cache.inventory import ListedEntry, Watch, prune_by_walks
from imgforge.interfaces import IServerReactor
from imgforge.model import CacheEntry
from imgforge.object_stores import IObjectStore, ObjectStoreError, ObjectTooLarge

__all__ = ["BucketInventory"]

T = TypeVar("T")

_END_WITHIN = 5.0  # seconds


class BucketInventory:
    """The entries in the bucket of *settings*. No other part of the program may use the reactor.

    A store tells when an object was written, not when it was read: the oldest entries count as the least recently used.
    """

    def __init__(self, settings: BucketSettings) -> None:
        from twisted.internet import reactor

        self._reactor = cast("Any", reactor)
        self._names = ObjectNames(settings.prefix)
        self._thread = Thread(target=self._reactor.run, args=(False,), name="imgforge-reactor", daemon=True)
        self._thread.start()
        self._store: IObjectStore = self._call(lambda: maybeDeferred(settings.open, cast("IServerReactor", reactor)))
        self.place = "/".join(filter(None, (self._store.where, settings.prefix)))

    def name_of(self, key: bytes) -> str:
        """See `Inventory`: the object's name, after the bucket's."""
        return f"{self._store.where}/{self._names.entry(key)}"

    def walk(self) -> Iterator[ListedEntry]:
        """See `Inventory`."""
        for shard in SHARDS:
            marker = ""
            while True:
                page = self._call(partial(self._store.page, self._names.entries(shard), marker))
                for each in page.objects:
                    key = self._names.key(each.name)
                    if key is not None:
                        modified = each.modified - self._store.ahead()
                        yield ListedEntry(key, each.size, modified, modified)
                marker = page.marker
                if not marker:
                    break

    def read(self, key: bytes) -> CacheEntry:
        """See `Inventory`."""
        try:
            data = self._call(lambda: self._store.get(self._names.entry(key), LONGEST_BODY))
        except ObjectTooLarge as error:
            raise CorruptEntry(str(error)) from None
        if data is None:
            raise FileNotFoundError
        return entry_moved(decode(key, data), -self._store.ahead())

    def read_metadata(self, key: bytes) -> tuple[CacheEntry, int]:
        """See `Inventory`."""
        found = self._call(lambda: ensureDeferred(read_metadata(self._store, self._names.entry(key))))
        if found is None:
            raise FileNotFoundError
        if found[0] != key:
            raise CorruptEntry("it belongs to another key")
        return entry_moved(found[1], -self._store.ahead()), found[2]

    def remove(self, key: bytes) -> bool:
        """See `Inventory`."""
        try:
            self._call(lambda: self._store.remove(self._names.entry(key)))
        except ObjectStoreError:
            return False
        return True

    def prune(self, max_bytes: int, watch: Watch) -> Sweep | None:
        """See `Inventory`."""
        return prune_by_walks(self, max_bytes, watch)

    def close(self) -> None:
        """See `Inventory`."""
        self._call(lambda: self._store.close())
        self._reactor.callFromThread(self._reactor.stop)
        self._thread.join(_END_WITHIN)

    def _call(self, work: Callable[[], Deferred[T]]) -> T:
        result: T = blockingCallFromThread(self._reactor, cast("Any", work))
        return result
