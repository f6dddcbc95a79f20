"""How the processes that share a directory learn of each other's purges, within a quarter of a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.directory_walk import FoundFile
from imgforge.cache.purge.journal import Journal
from imgforge.cache.purge.purges import Purges
from imgforge.cache.purge.remover import is_purged
from imgforge.concurrency import FileThreads
from imgforge.errors import PurgeFailed
from imgforge.interfaces import IServerReactor
from imgforge.model import CacheEntry, Purge

__all__ = ["PurgeFollower"]

_READ_INTERVAL = 0.25
_PATIENCE = 1.0
# Seconds that the recording of a purge may take.
_RECORD_WITHIN = 5.0
_DRAIN = 1.0
_WARN_INTERVAL = 60.0
# A result whose original was requested before a purge may be written after it. No request lasts as long as this.
_FINAL_AFTER = 600.0


class PurgeFollower(Service):
    """The known purges, and the journal in *directory* that tells them to all processes; "" for no journal.

    With *files* there are entries on disk, and a purge is forgotten once a sweep has removed what it covers; without,
    as soon as no entry that it covers can be left.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor, directory: str = "", *, files: bool = False) -> None:
        self._reactor = reactor
        self._files = files
        self._directory = directory
        self._warned = -math.inf
        self._journal = Journal(directory) if directory else None
        self._threads = FileThreads(reactor, 1, _PATIENCE)
        self._known: list[Purge] = []
        self._purges = Purges(clock=reactor.seconds)
        self._loaded = self._journal is None
        self._waiters: list[Deferred[None]] = []
        self._reading = LoopingCall(self._read)
        self._reading.clock = reactor
        self._observers: list[Callable[[], None]] = []

    def add_observer(self, observer: Callable[[], None]) -> None:
        """Have *observer* called after each purge, for entries that are served without a check of `covers`."""
        self._observers.append(observer)

    def startService(self) -> None:
        """Follow the journal from now on."""
        super().startService()
        if self._journal is not None:
            self._threads.start()
            self._reading.start(_READ_INTERVAL, now=True)

    def stopService(self) -> Deferred[None] | None:
        """Follow the journal no more; fires when its thread has ended."""
        super().stopService()
        if self._reading.running:
            self._reading.stop()
        return Deferred.fromCoroutine(self._threads.stop(_DRAIN)) if self._journal is not None else None

    async def loaded(self) -> None:
        """Wait until the purges before the start are known, or the medium has failed to give them."""
        if not self._loaded:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter

    def covers(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* was purged."""
        return self._purges.covers(key, entry)

    def covers_file(self, found: FoundFile) -> bool:
        """Whether the entry in a file was purged. On a thread."""
        return is_purged(found, self._purges)

    def last_purge(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """The time of the last purge of entries with this key, source and tags; minus infinity for none."""
        return self._purges.last_purge(key, source, tags)

    async def add(self, purge: Purge) -> None:
        """Purge here and record it for the other processes; `PurgeFailed` where it cannot be recorded."""
        self._learn(replaced=False, purges=[purge])
        journal = self._journal
        if journal is None:
            return

        def late(_outcome: object, _seconds: float) -> None:
            raise PurgeFailed("the purge could not be recorded in time: other processes may not know of it")

        try:
            await self._threads.run(lambda: journal.append(purge)).addTimeout(_RECORD_WITHIN, self._reactor, late)
        except OSError as error:
            self.log.error(
                "a purge could not be recorded in {directory}, purge again once it is writable: {error}",
                directory=self._directory,
                error=error,
            )
            raise PurgeFailed("the purge could not be recorded: other processes do not know of it") from error

    def needs_sweep(self, now: float) -> bool:
        """Whether there are purges that no new entry can match, so that one sweep removes the rest that they cover."""
        return any(purge.at < now - _FINAL_AFTER for purge in self._known)

    def forget_swept(self, now: float) -> None:
        """Take the purges out of the journal that needed a sweep at *now*. On a thread, after that sweep."""
        if self._journal is not None:
            self._journal.compact(lambda purge: purge.at >= now - _FINAL_AFTER)

    def _read(self) -> Deferred[None] | None:
        if self._journal is None:
            return None
        read = self._threads.run_with_timeout(self._journal.read_new).addCallback(lambda new: self._learn(*new))
        return read.addErrback(self._read_failed).addBoth(self._release)

    def _learn(self, replaced: bool, purges: list[Purge]) -> None:
        if replaced:
            self._known, self._purges = [], Purges(clock=self._reactor.seconds)
        for purge in purges:
            self._known.append(purge)
            self._purges.add(purge)
        if not purges:
            return
        for observer in self._observers:
            try:
                observer()
            except Exception:  # the other observers are called all the same
                self.log.failure("a cache could not drop purged entries, and may still serve them")
        if not self._files:
            self._forget_old(self._reactor.seconds())

    def _forget_old(self, now: float) -> None:
        # By halves, so that the work for each purge does not grow with their number.
        if self._known[len(self._known) // 2].at < now - _FINAL_AFTER:
            self._known = [purge for purge in self._known if purge.at >= now - _FINAL_AFTER]
            self._purges = Purges(self._known, self._reactor.seconds)
            if self._journal is not None:
                self._threads.run(lambda: self.forget_swept(now)).addErrback(self._read_failed)

    def _read_failed(self, failure: Failure) -> None:
        """Log it, faults of the medium once a minute; the next read follows."""
        if not failure.check(OSError):
            self.log.failure("the journal of purges could not be read; the next attempt follows in 0.25 s", failure)
        elif self._reactor.seconds() - self._warned >= _WARN_INTERVAL:
            self._warned = self._reactor.seconds()
            self.log.warn(
                "the journal of purges in {directory} cannot be read ({error!r}): this process serves what other "
                "processes purge until it can. Check the medium and the permissions of the directory",
                directory=self._directory,
                error=failure.value,
            )

    def _release(self, _: object) -> None:
        self._loaded = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)
