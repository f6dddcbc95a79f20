"""How the processes that share a directory learn of each other's purges, within a quarter of a second."""

from __future__ import annotations

import math

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.purge.journal import Journal
from imgforge.concurrency import FileThreads
from imgforge.errors import PurgeFailed
from imgforge.interfaces import IServerReactor, LearnPurges
from imgforge.model import Purge

__all__ = ["PurgeFollower"]

_READ_INTERVAL = 0.25
_PATIENCE = 1.0
# Seconds that the recording of a purge may take.
_RECORD_WITHIN = 5.0
_DRAIN = 1.0
_WARN_INTERVAL = 60.0


class PurgeFollower:
    """Follows the journal in *directory*, which tells purges to all processes that share it."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, directory: str) -> None:
        self._reactor = reactor
        self._directory = directory
        self._warned = -math.inf
        self._journal = Journal(directory)
        self._threads = FileThreads(reactor, 1, _PATIENCE)
        self._learn: LearnPurges | None = None
        self._loaded: Deferred[None] | None = None
        self._reading = LoopingCall(self._read)
        self._reading.clock = reactor

    def start(self, learn: LearnPurges) -> Deferred[None]:
        """Follow the journal from now on; fires when *learn* knows what is in it, or the medium has failed."""
        self._learn = learn
        self._threads.start()
        loaded: Deferred[None] = Deferred()
        self._loaded = loaded
        self._reading.start(_READ_INTERVAL, now=True)
        return loaded

    def close(self) -> Deferred[None]:
        """Follow the journal no more; fires when its thread has ended."""
        if self._reading.running:
            self._reading.stop()
        self._release(None)
        return Deferred.fromCoroutine(self._threads.stop(_DRAIN))

    async def record(self, purge: Purge) -> None:
        """Record *purge* for the other processes; `PurgeFailed` where the medium refuses."""

        def late(_outcome: object, _seconds: float) -> None:
            raise PurgeFailed("the purge could not be recorded in time: other processes may not know of it")

        recorded = self._threads.run(lambda: self._journal.append(purge))
        try:
            await recorded.addTimeout(_RECORD_WITHIN, self._reactor, late)
        except OSError as error:
            self.log.error(
                "a purge could not be recorded in {directory}, purge again once it is writable: {error}",
                directory=self._directory,
                error=error,
            )
            raise PurgeFailed("the purge could not be recorded: other processes do not know of it") from error

    def compact(self, before: float) -> None:
        """Take the purges before that time out of the journal. On a thread; OSError where the medium refuses."""
        self._journal.compact(lambda purge: purge.at >= before)

    def forget(self, before: float) -> Deferred[None]:
        """Have `compact` called on a thread."""
        return self._threads.run(lambda: self.compact(before)).addErrback(self._read_failed)

    def _read(self) -> Deferred[None]:
        # A result that comes late is learnt, too: the journal is read from behind it the next time.
        read = self._threads.run_with_timeout(self._journal.read_new, discard=self._read_new)
        read.addCallback(self._read_new)
        return read.addErrback(self._read_failed).addBoth(self._release)

    def _read_new(self, new: tuple[bool, list[Purge]]) -> None:
        replaced, purges = new
        if self._learn is not None and (purges or replaced):
            self._learn(purges, replaced=replaced)

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
        loaded, self._loaded = self._loaded, None
        if loaded is not None and not loaded.called:
            loaded.callback(None)
