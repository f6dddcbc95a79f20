"""The disk tier: one file an entry, safe for several processes and for several hosts on one share.

All file work happens on threads of its own pool, so that a medium that hangs holds up neither the reactor nor what
else uses threads. Nothing is listed at start, and a look-up opens one file whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imgforge.cache._file import CorruptEntry, entry_path, read_entry, write_entry
from imgforge.cache._janitor import Sweep, sweep
from imgforge.interfaces import ICacheTier
from imgforge.model import CacheEntry

__all__ = ["DiskTier", "FaultObserver", "IDiskReactor"]

T = TypeVar("T")

# Called with the tier's name and the kind of fault: corrupt, io or too_large.
FaultObserver = Callable[[str, str], None]

_THREADS = 4
_SWEEP_INTERVAL = 60.0
# A sweep of many files takes long: the pause behind it is this many times as long.
_SWEEP_PAUSE = 20.0
# Written bytes, as a part of the limit, after which a sweep does not wait for its time.
_SWEEP_EARLY = 0.1
_WARN_INTERVAL = 60.0


class IDiskReactor(IReactorTime, IReactorFromThreads):
    """What the tier needs of a reactor."""


@implementer(ICacheTier)
class DiskTier:
    """Entries as files below *path*; a fault is a miss, logged once a minute and told to *on_fault*."""

    name = "disk"
    log = Logger()

    def __init__(
        self,
        reactor: IDiskReactor,
        path: str,
        *,
        max_bytes: int,
        capacity: int,
        max_age: float = 0.0,
        on_fault: FaultObserver = lambda _tier, _fault: None,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._max_bytes = max_bytes
        self._capacity = capacity
        self._max_age = max_age
        self._on_fault = on_fault
        self._pool = ThreadPool(minthreads=0, maxthreads=_THREADS, name="imgforge-cache")
        # What is on its way to the disk can be read already.
        self._writing: dict[bytes, CacheEntry] = {}
        self._writes: set[Deferred[None]] = set()
        self._written = 0
        self._sweeping = False
        self._next_sweep: IDelayedCall | None = None
        self._warned_at = -_WARN_INTERVAL
        self.last_sweep: Sweep | None = None

    def start(self) -> None:
        """Start the threads and the janitor."""
        self._pool.start()
        self._next_sweep = self._reactor.callLater(1.0, self._sweep)

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key*, verified; what is damaged is removed and missed."""
        entry = self._writing.get(key)
        path = entry_path(self._path, key)

        def read() -> CacheEntry | None:
            try:
                return read_entry(path, key)
            except FileNotFoundError:
                return None
            except CorruptEntry:
                path.unlink(missing_ok=True)
                raise

        if entry is not None:
            found: Deferred[CacheEntry | None] = Deferred()
            found.callback(entry)
            return found
        return self._on_thread(read).addErrback(self._fault)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Write *entry*; one that is larger than the tier is not kept."""
        done: Deferred[None]
        size = len(entry.rendition.body)
        if self._max_bytes and size > self._max_bytes:
            self._on_fault(self.name, "too_large")
            done = Deferred()
            done.callback(None)
            return done
        self._writing[key] = entry
        path = entry_path(self._path, key)

        def written(size: int) -> None:
            self._written += size
            if self._max_bytes and self._written > self._max_bytes * _SWEEP_EARLY:
                self._sweep()

        def finished(outcome: T) -> T:
            if self._writing.get(key) is entry:
                del self._writing[key]
            self._writes.discard(done)
            return outcome

        done = self._on_thread(lambda: write_entry(path, key, entry)).addCallback(written)
        done.addErrback(self._fault)
        self._writes.add(done)
        return done.addBoth(finished)

    def remove(self, key: bytes) -> Deferred[bool]:
        """Remove *key*'s file."""
        self._writing.pop(key, None)
        path = entry_path(self._path, key)

        def unlink() -> bool:
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            return True

        return self._on_thread(unlink).addErrback(self._fault).addCallback(bool)

    async def close(self) -> None:
        """Finish the writes that are under way and end the threads."""
        if self._next_sweep is not None and self._next_sweep.active():
            self._next_sweep.cancel()
        self._next_sweep = None
        await DeferredList(list(self._writes))
        self._pool.stop()

    def _on_thread(self, work: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, work)

    def _fault(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, (OSError, CorruptEntry)):
            failure.raiseException()
        self._on_fault(self.name, "corrupt" if isinstance(error, CorruptEntry) else "io")
        now = self._reactor.seconds()
        if now - self._warned_at >= _WARN_INTERVAL:
            self._warned_at = now
            what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            self.log.warn(
                "the disk cache lost an entry: {what}; images are served as if uncached. "
                "Check the space and the permissions of IMGFORGE_CACHE_DISK_PATH ({path})",
                what=what,
                path=self._path,
            )

    def _sweep(self) -> None:
        """Start a sweep unless one is under way; the next one follows by itself."""
        if self._sweeping or self._next_sweep is None:
            return
        if self._next_sweep.active():
            self._next_sweep.cancel()
        self._sweeping, self._written = True, 0
        began = self._reactor.seconds()

        def swept(result: Sweep | None) -> None:
            if result is not None:
                self.last_sweep = result
                if result.removed:
                    self.log.debug("the janitor removed {removed} entries", removed=result.removed)

        def again(_: object) -> None:
            self._sweeping = False
            if self._next_sweep is not None:
                pause = max(_SWEEP_INTERVAL, (self._reactor.seconds() - began) * _SWEEP_PAUSE)
                self._next_sweep = self._reactor.callLater(pause, self._sweep)

        work = self._on_thread(lambda: sweep(self._path, self._max_bytes, self._capacity, self._max_age))
        work.addCallback(swept).addErrback(self._fault).addBoth(again)


def usable_directory(path: str) -> bool:
    """Whether entries can be written below *path*, which is made if need be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)
