"""The disk tier: one file an entry, safe for several processes and for several hosts on one share.

All file work happens on threads of the tier's own, so that a medium that hangs holds up neither the reactor nor what
else uses threads. Nothing is listed at start, and a look-up opens one file whatever their number.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.cache.entry_file import LONGEST_BODY, CorruptEntry, OldEntry, entry_path, read_entry, write_entry
from imgforge.cache.eviction.free_space import FULL
from imgforge.cache.eviction.janitor import Janitor, Limits
from imgforge.cache.eviction.sweep import Sweep
from imgforge.cache.leased_coalescing import LeasedCoalescer
from imgforge.cache.leases import LeaseFile
from imgforge.cache.purge.follower import Purging
from imgforge.cache.purge.purges import Purge, Purges
from imgforge.cache.purge.remover import Remover
from imgforge.concurrency import FileThreads, IDiskReactor, Stalled, TimeLimit
from imgforge.interfaces import ICacheTier
from imgforge.model import CacheEntry

__all__ = ["DiskTier", "FaultObserver", "usable_directory"]

T = TypeVar("T")
U = TypeVar("U")

# Called with the tier's name and the kind of fault: corrupt, full, io, slow or too_large.
FaultObserver = Callable[[str, str], None]

_THREADS = 4
# Seconds that a look-up may take beside the time that its bytes do; an image is made faster than that.
_PATIENCE = 1.0
# Bytes that may wait to be written; what comes beyond is not kept.
_BACKLOG = 64 << 20
# Seconds that the writes under way have at the end.
_DRAIN = 3.0
_WARN_INTERVAL = 60.0

_ADVICE = {
    "corrupt": "the disk cache removed a damaged entry ({what}); if this goes on, check the medium of {path}",
    "full": "the disk cache has no room ({what}) and removes its oldest entries; until then images are served as if "
    "uncached. Check what fills the medium of IMGFORGE_CACHE_DISK_PATH ({path}), of which "
    "IMGFORGE_CACHE_DISK_MIN_FREE_BYTES stay free",
    "io": "the disk cache lost an entry ({what}); images are served as if uncached. "
    "Check the space and the permissions of IMGFORGE_CACHE_DISK_PATH ({path})",
    "slow": "the disk cache does not answer in time; images are served as if uncached until it does. "
    "Check the medium of IMGFORGE_CACHE_DISK_PATH ({path})",
}


@implementer(ICacheTier)
class DiskTier:
    """Entries as files below *path*; a fault is a miss, logged once a minute and told to *on_fault*.

    *max_bytes* and *capacity* bound all entries, *max_age* is in seconds since an entry was used; 0 is no limit.
    *min_free* bytes of the medium stay free; 0 is none, less than 0 as many as is usual.
    """

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
        min_free: int = 0,
        on_fault: FaultObserver = lambda _tier, _fault: None,
        purging: Purging | None = None,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._longest = min(max_bytes or LONGEST_BODY, LONGEST_BODY)
        self._on_fault = on_fault
        self._threads = FileThreads(reactor, _THREADS, _PATIENCE)
        limits = Limits(max_bytes, capacity, max_age, min_free)
        self._janitor = Janitor(reactor, self._threads, path, limits, self._fault, purging or Purging(reactor))
        self._remover = Remover(reactor, self._threads, path, self._fault)
        # What is on its way to the disk can be read already.
        self._writing: dict[bytes, CacheEntry] = {}
        self._waiting_bytes = 0
        # Changes of one key happen in the order in which they were asked for.
        self._turns: dict[bytes, DeferredLock] = {}
        self._changes: set[Deferred[Any]] = set()
        self._warned: dict[str, float] = {}
        self._flights = LeasedCoalescer(reactor, self._threads, LeaseFile(path), self._in_turn)

    @property
    def known(self) -> Sweep | None:
        """What the last sweep left, once this process knows of one: nothing is counted for it."""
        return self._janitor.known

    def start(self) -> None:
        """Start the threads and the janitor."""
        self._threads.start()
        self._janitor.start()

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key*, verified; what is damaged is removed and missed."""
        entry = self._writing.get(key)
        if entry is not None:
            return succeed(entry)
        path = entry_path(self._path, key)
        limit = TimeLimit(_PATIENCE)

        def read() -> CacheEntry | None:
            try:
                return read_entry(path, key, self._longest, sized=limit.extend_for)
            except FileNotFoundError:
                return None
            except CorruptEntry as error:
                path.unlink(missing_ok=True)
                if isinstance(error, OldEntry):
                    return None
                raise

        return self._threads.run_with_timeout(read, limit).addErrback(self._fault)

    def size_of(self, key: bytes) -> Deferred[int]:
        """The size of the file under *key*."""
        entry = self._writing.get(key)
        if entry is not None:
            return succeed(len(entry.rendition.body))
        path = entry_path(self._path, key)

        def look() -> int:
            try:
                return path.stat().st_size
            except FileNotFoundError:
                return 0

        return self._threads.run_with_timeout(look).addErrback(self._fault).addCallback(lambda size: size or 0)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Write *entry*; one that is larger than the tier, or that the medium is too slow for, is not kept."""
        size = len(entry.rendition.body)
        if size > self._longest:
            self._on_fault(self.name, "too_large")
            return succeed(None)
        if self._waiting_bytes + size > max(_BACKLOG, size):
            return self._refused(Stalled())
        path = entry_path(self._path, key)
        self._writing[key] = entry
        self._waiting_bytes += size

        def finished(outcome: T) -> T:
            self._waiting_bytes -= size
            if self._writing.get(key) is entry:
                del self._writing[key]
            return outcome

        def failed(failure: Failure) -> None:
            if _kind(failure.value) == "full":
                self._janitor.make_room(size)
            self._fault(failure)

        return (
            self._in_turn(key, lambda: self._janitor.write(size, lambda: write_entry(path, key, entry)))
            .addCallbacks(self._janitor.wrote, failed)
            .addBoth(finished)
        )

    def remove(self, key: bytes) -> Deferred[bool]:
        """Remove *key*'s file, and with it what is being written under *key*."""
        self._writing.pop(key, None)
        path = entry_path(self._path, key)

        def unlink() -> bool:
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            return True

        return self._in_turn(key, unlink).addErrback(self._fault).addCallback(bool)

    async def purge(self, purge: Purge) -> int:
        """Remove the files that *purge* covers; how many they were, as far as is known within seconds."""
        covered = Purges([purge])
        for key in [key for key, entry in self._writing.items() if covered.cover(key, entry)]:
            del self._writing[key]
        await self._written()
        return await self._remover.remove(purge)

    async def once(
        self,
        key: bytes,
        find: Callable[[], Awaitable[T | None]],
        make: Callable[[], Awaitable[T]],
        kept: Callable[[T], bool],
    ) -> T:
        """What *make* returns, or *find* does once another process or host has made it; see `LeasedCoalescer`."""
        return await self._flights.do(key, entry_path(self._path, key).exists, find, make, kept)

    async def close(self) -> None:
        """Finish the changes under way and end the threads, within seconds even where the medium hangs."""
        self._janitor.stop()
        self._remover.stop()
        await self._written()
        self._flights.close()
        await self._threads.stop(_DRAIN)

    def _written(self) -> Deferred[None]:
        """Fires when the changes under way are done, or have taken too long."""
        changed: Deferred[None] = Deferred()
        DeferredList(list(self._changes)).addCallback(lambda _: changed.callback(None))
        return changed.addTimeout(_DRAIN, self._reactor, lambda _outcome, _seconds: None)

    def _in_turn(self, key: bytes, work: Callable[[], T], *, even_if_stalled: bool = False) -> Deferred[T]:
        """The outcome of *work*, begun when what was asked for *key* before has ended."""
        run = self._threads.run_even_if_stalled if even_if_stalled else self._threads.run
        lock = self._turns.setdefault(key, DeferredLock())

        def leave(outcome: U) -> U:
            if not lock.locked:
                self._turns.pop(key, None)
            self._changes.discard(change)
            return outcome

        change: Deferred[T] = lock.run(run, work)
        self._changes.add(change)
        return change.addBoth(leave)

    def _refused(self, error: OSError) -> Deferred[None]:
        self._fault(Failure(error))
        return succeed(None)

    def _fault(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, (OSError, CorruptEntry)):
            failure.raiseException()
        kind = _kind(error)
        self._on_fault(self.name, kind)
        now = self._reactor.seconds()
        if kind in _ADVICE and now - self._warned.get(kind, -_WARN_INTERVAL) >= _WARN_INTERVAL:
            self._warned[kind] = now
            what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            self.log.warn(_ADVICE[kind], what=what, path=self._path)


def _kind(error: object) -> str:
    if isinstance(error, CorruptEntry):
        return "corrupt"
    code = error.errno if isinstance(error, OSError) else None
    return (
        "full"
        if code in FULL
        else "too_large"
        if code == errno.EFBIG
        else "slow"
        if isinstance(error, Stalled)
        else "io"
    )


def usable_directory(path: str) -> bool:
    """Whether entries can be written below *path*, which is made if need be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)
