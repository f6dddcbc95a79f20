"""How the processes that share a directory learn of each other's purges, within a quarter of a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.directory_walk import Found
from imgforge.cache.purge.journal import Journal
from imgforge.cache.purge.purges import Purge, Purges
from imgforge.cache.purge.remover import purged_file
from imgforge.concurrency import FileThreads, IDiskReactor
from imgforge.errors import PurgeFailed
from imgforge.model import CacheEntry

__all__ = ["Purging"]

_LOOK = 0.25
_PATIENCE = 1.0
# Seconds for a purge to be on the medium.
_RECORD_WITHIN = 5.0
_DRAIN = 1.0
_WARN_INTERVAL = 60.0
# What was made of an original asked for before a purge may still be written after it: longer than any request lasts.
_SETTLED_AFTER = 600.0


class Purging:
    """The purges that are known, and the journal in *directory* by which all know them; "" where there is none.

    With *files* there are entries on disk, through which a janitor looks for what old purges cover; without, a purge is
    forgotten when nothing can be left of it.
    """

    log = Logger()

    def __init__(self, clock: IDiskReactor, directory: str = "", *, files: bool = False) -> None:
        self._clock = clock
        self._files = files
        self._directory = directory
        self._warned = -math.inf
        self._journal = Journal(directory) if directory else None
        self._threads = FileThreads(clock, 1, _PATIENCE)
        self._known: list[Purge] = []
        self._purges = Purges(clock=clock.seconds)
        self._loaded = self._journal is None
        self._waiting: list[Deferred[None]] = []
        self._following = LoopingCall(self._look)
        self._following.clock = clock
        # Called when more has been purged, for what is kept where nobody looks through `cover`.
        self.on_news: list[Callable[[], None]] = []

    def start(self) -> None:
        """Follow the journal from now on."""
        if self._journal is not None:
            self._threads.start()
            self._following.start(_LOOK, now=True)

    async def stop(self) -> None:
        """Follow it no more."""
        if self._following.running:
            self._following.stop()
        if self._journal is not None:
            await self._threads.stop(_DRAIN)

    async def loaded(self) -> None:
        """Wait until what was purged before the start is known, or the medium does not say."""
        if not self._loaded:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    def cover(self, key: bytes, entry: CacheEntry) -> bool:
        """Whether *entry* may not be served any more."""
        return self._purges.cover(key, entry)

    def covers_file(self, found: Found) -> bool:
        """Whether the entry in a file may not be served any more. On a thread."""
        return purged_file(found, self._purges)

    def moment(self, key: bytes, source: str, tags: Iterable[str]) -> float:
        """When an entry such as these would make was last purged."""
        return self._purges.moment(key, source, tags)

    async def add(self, purge: Purge) -> None:
        """Purge here, and have all others do so; `PurgeFailed` where they cannot be told."""
        self._learn((False, [purge]))
        journal = self._journal
        if journal is None:
            return

        def late(_outcome: object, _seconds: float) -> None:
            raise PurgeFailed("the purge could not be recorded in time: other processes may not know of it")

        try:
            await self._threads.run(lambda: journal.append(purge)).addTimeout(_RECORD_WITHIN, self._clock, late)
        except OSError as error:
            self.log.error("a purge could not be recorded: {error}", error=error)
            raise PurgeFailed("the purge could not be recorded: other processes do not know of it") from error

    def unsettled(self, now: float) -> bool:
        """Whether there are purges that entries on disk should be looked through for, once and for all."""
        return any(purge.at < now - _SETTLED_AFTER for purge in self._known)

    def settled(self, now: float) -> None:
        """All that was old enough at *now* has been looked through for. On a thread."""
        if self._journal is not None:
            self._journal.compact(lambda purge: purge.at >= now - _SETTLED_AFTER)

    def _look(self) -> Deferred[None] | None:
        if self._journal is None:
            return None
        news = self._threads.run_with_timeout(self._journal.news).addCallback(self._learn)
        return news.addErrback(self._missed).addBoth(self._release)

    def _learn(self, news: tuple[bool, list[Purge]]) -> None:
        another, purges = news
        if another:
            self._known, self._purges = [], Purges(clock=self._clock.seconds)
        for purge in purges:
            self._known.append(purge)
            self._purges.add(purge)
        if purges:
            for tell in self.on_news:
                try:
                    tell()
                except Exception:  # the others are told all the same
                    self.log.failure("a cache could not drop what was purged, and may still serve it")
            if not self._files:
                self._forget_old(self._clock.seconds())

    def _forget_old(self, now: float) -> None:
        # By halves, so that what is done for each purge does not grow with their number.
        if self._known[len(self._known) // 2].at < now - _SETTLED_AFTER:
            self._known = [purge for purge in self._known if purge.at >= now - _SETTLED_AFTER]
            self._purges = Purges(self._known, self._clock.seconds)
            if self._journal is not None:
                self._threads.run(lambda: self.settled(now)).addErrback(self._missed)

    def _missed(self, failure: Failure) -> None:
        """Log it, the medium's own faults once a minute; the next look follows."""
        if not failure.check(OSError):
            self.log.failure("the journal of purges could not be followed", failure)
        elif self._clock.seconds() - self._warned >= _WARN_INTERVAL:
            self._warned = self._clock.seconds()
            self.log.warn(
                "the journal of purges in {directory} cannot be read ({error!r}): what other processes purge is "
                "still served here until it can",
                directory=self._directory,
                error=failure.value,
            )

    def _release(self, _: object) -> None:
        self._loaded = True
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)
