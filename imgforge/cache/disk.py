"""The disk tier: one file an entry, safe for several processes and for several hosts on one share.

All file work happens on threads of the tier's own, so that a medium that hangs blocks neither the reactor nor other
users of threads. Nothing is listed at start, and a look-up opens one file whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredLock, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.cache.disk_lease import DiskLeases
from imgforge.cache.entry_file import LONGEST_BODY, CorruptEntry, OldEntry, entry_path, read_entry, write_entry
from imgforge.cache.eviction import DiskLimits, Janitor
from imgforge.cache.faults import FaultObserver, fault_kind, fault_text
from imgforge.cache.purge import KnownPurges, PurgeFollower, PurgeRemover, Purges
from imgforge.concurrency import FileThreads, Stalled, TimeLimit
from imgforge.interfaces import ICacheTier, ILease, IServerReactor, LearnPurges, TierUsage
from imgforge.model import CacheEntry, Purge

__all__ = ["DiskTier"]

T = TypeVar("T")
U = TypeVar("U")

_THREADS = 4
# Seconds that a look-up may take, beside the time for its bytes; making an image is faster than that.
_PATIENCE = 1.0
# Bytes that may wait to be written; entries beyond them are not kept.
_BACKLOG = 64 << 20
# Seconds that the writes under way may take when the tier stops.
_DRAIN = 3.0
_WARN_INTERVAL = 60.0

_ADVICE = {
    "corrupt": "the disk cache removed a damaged entry ({error}); if this goes on, check the medium of {path}",
    "full": "the disk cache has no space ({error}) and evicts its oldest entries; until then images are served as if "
    "uncached. Check what fills the medium of IMGFORGE_CACHE_DISK_PATH ({path}), of which "
    "IMGFORGE_CACHE_DISK_MIN_FREE_BYTES stay free",
    "io": "the disk cache cannot read or write ({error}); images are served as if uncached. "
    "Check the space and the permissions of IMGFORGE_CACHE_DISK_PATH ({path})",
    "slow": "the disk cache does not answer in time; images are served as if uncached until it does. "
    "Check the medium of IMGFORGE_CACHE_DISK_PATH ({path})",
}


@implementer(ICacheTier)
class DiskTier:
    """Entries as files below *path*, under *limits*.

    A fault is a miss: *on_fault* is called with it, and a warning is logged once a minute. Sweeps remove what *purges*
    cover: all that the cache knows, of this tier and of others.
    """

    name = "disk"
    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        path: str,
        limits: DiskLimits,
        *,
        on_fault: FaultObserver = lambda _tier, _fault: None,
        purges: KnownPurges | None = None,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._most_bytes = limits.bytes
        self._longest_body = min(limits.bytes or LONGEST_BODY, LONGEST_BODY)
        self._on_fault = on_fault
        self._threads = FileThreads(reactor, _THREADS, _PATIENCE)
        self._journal = PurgeFollower(reactor, path)
        purges = purges if purges is not None else KnownPurges(reactor.seconds)
        self._janitor = Janitor(reactor, self._threads, path, limits, self._report_fault, purges, self._journal.compact)
        self._remover = PurgeRemover(reactor, self._threads, path, self._report_fault)
        # Entries that wait to be written can be read already.
        self._unwritten: dict[bytes, CacheEntry] = {}
        self._unwritten_bytes = 0
        # Changes of one key happen in the order of their calls.
        self._locks: dict[bytes, DeferredLock] = {}
        self._changes: set[Deferred[Any]] = set()
        self._warned: dict[str, float] = {}
        self._leases = DiskLeases(reactor, self._threads, path)

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """Start the threads and the janitor, and follow the journal of purges."""
        self._threads.start()
        self._janitor.startService()
        return self._journal.start(learn)

    def close(self) -> Deferred[None]:
        """Finish the changes under way and end the threads, within seconds even where the medium hangs."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._janitor.stopService()
        self._remover.stop()
        journal_closed = self._journal.close()
        await self._wait_for_changes()
        self._leases.close()
        await self._threads.stop(_DRAIN)
        await journal_closed

    def usage(self) -> TierUsage | None:
        """See `ICacheTier`: what the last sweep left, of any process; None before the first one."""
        sweep = self._janitor.last_sweep
        return None if sweep is None else TierUsage(sweep.bytes, sweep.entries, self._most_bytes)

    def get(self, key: bytes) -> Deferred[CacheEntry | None]:
        """The entry under *key*, verified; a damaged one is removed, and a miss."""
        entry = self._unwritten.get(key)
        if entry is not None:
            return succeed(entry)
        path = entry_path(self._path, key)
        limit = TimeLimit(_PATIENCE)

        def read() -> CacheEntry | None:
            try:
                return read_entry(path, key, self._longest_body, sized=limit.extend_for)
            except FileNotFoundError:
                return None
            except CorruptEntry as error:
                path.unlink(missing_ok=True)
                if isinstance(error, OldEntry):
                    return None
                raise

        return self._threads.run_with_timeout(read, limit).addErrback(self._report_fault)

    def size_of(self, key: bytes) -> Deferred[int]:
        """The size of the file under *key*."""
        entry = self._unwritten.get(key)
        if entry is not None:
            return succeed(len(entry.rendition.body))
        path = entry_path(self._path, key)

        def file_size() -> int:
            try:
                return path.stat().st_size
            except FileNotFoundError:
                return 0

        found = self._threads.run_with_timeout(file_size).addErrback(self._report_fault)
        return found.addCallback(lambda size: size or 0)

    def put(self, key: bytes, entry: CacheEntry) -> Deferred[None]:
        """Write *entry*; one that is larger than the tier, or that the medium is too slow for, is not kept."""
        size = len(entry.rendition.body)
        if size > self._longest_body:
            self._on_fault(self.name, "too_large")
            return succeed(None)
        if self._unwritten_bytes + size > max(_BACKLOG, size):
            self._report_fault(Failure(Stalled()))
            return succeed(None)
        path = entry_path(self._path, key)
        self._unwritten[key] = entry
        self._unwritten_bytes += size

        def finished(outcome: T) -> T:
            self._unwritten_bytes -= size
            if self._unwritten.get(key) is entry:
                del self._unwritten[key]
            return outcome

        def failed(failure: Failure) -> None:
            if fault_kind(failure.value) == "full":
                self._janitor.make_space(size)
            self._report_fault(failure)

        return (
            self._run_in_order(key, lambda: self._janitor.write(size, lambda: write_entry(path, key, entry)))
            .addCallbacks(self._janitor.add_written, failed)
            .addBoth(finished)
        )

    def remove(self, key: bytes) -> Deferred[bool]:
        """Remove the file under *key*, and an entry that waits to be written there."""
        self._unwritten.pop(key, None)
        path = entry_path(self._path, key)

        def unlink() -> bool:
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            return True

        return self._run_in_order(key, unlink).addErrback(self._report_fault).addCallback(bool)

    def purge(self, purge: Purge) -> Deferred[int]:
        """See `ICacheTier`; the journal in the directory tells the other processes and hosts."""
        return Deferred.fromCoroutine(self._purge(purge))

    async def _purge(self, purge: Purge) -> int:
        await self._journal.record(purge)
        purges = Purges([purge])
        for key in [key for key, entry in self._unwritten.items() if purges.covers(key, entry)]:
            del self._unwritten[key]
        await self._wait_for_changes()
        return await self._remover.remove(purge)

    def purged_before(self) -> float:
        """See `ICacheTier`: ten minutes before the last sweep that removed purged entries, of any process."""
        return self._janitor.purged_before()

    def lease(self, key: bytes) -> ILease | None:
        """See `ICacheTier`; None for a minute after the medium has refused a lock."""
        return self._leases.lease(key, entry_path(self._path, key).exists)

    def _wait_for_changes(self) -> Deferred[None]:
        """Fires when the changes under way are done, or have taken too long."""
        done: Deferred[None] = Deferred()
        DeferredList(list(self._changes)).addCallback(lambda _: done.callback(None))
        return done.addTimeout(_DRAIN, self._reactor, lambda _outcome, _seconds: None)

    def _run_in_order(self, key: bytes, work: Callable[[], T]) -> Deferred[T]:
        """The outcome of *work*, which begins when all earlier work for *key* has ended."""
        lock = self._locks.setdefault(key, DeferredLock())

        def ended(outcome: U) -> U:
            if not lock.locked:
                self._locks.pop(key, None)
            self._changes.discard(change)
            return outcome

        change: Deferred[T] = lock.run(self._threads.run, work)
        self._changes.add(change)
        return change.addBoth(ended)

    def _report_fault(self, failure: Failure) -> None:
        """Count a fault of the medium and warn of it once a minute; any other failure is raised."""
        error = failure.value
        if not isinstance(error, (OSError, CorruptEntry)):
            failure.raiseException()
        kind = fault_kind(error)
        self._on_fault(self.name, kind)
        now = self._reactor.seconds()
        if kind in _ADVICE and now - self._warned.get(kind, -_WARN_INTERVAL) >= _WARN_INTERVAL:
            self._warned[kind] = now
            self.log.warn(_ADVICE[kind], error=fault_text(error), path=self._path)
