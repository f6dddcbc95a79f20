"""When a directory of entries is swept: now and then, soon after much was written, and at once when there is no room.

A purge removes what it covers by itself. What that did not finish, or came to be written later, a sweep looks for once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.eviction.free_space import Space
from imgforge.cache.eviction.sweep import Sweep, last_sweep, sweep
from imgforge.cache.purge.follower import Purging
from imgforge.concurrency import FileThreads

__all__ = ["Janitor", "Limits"]

# How often a process looks whether a sweep is due, and how long all of them rest after one; seconds.
_LOOK = 1.0
_REST = 60.0
# The part of a limit that one process writes before it sweeps without a rest.
_MUCH = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept: bytes of files, their number, and seconds since they were last used; 0 is no limit.

    `free` are bytes of the file system that stay free; 0 is none, less than 0 as many as is usual.
    """

    bytes: int = 0
    entries: int = 0
    age: float = 0.0
    free: int = 0


class Janitor:
    """Keeps *root* under *limits*, on one of *threads*; what goes wrong with the medium is told to *fault*."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        threads: FileThreads,
        root: str,
        limits: Limits,
        fault: Callable[[Failure], None],
        purging: Purging,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._root = root
        self._limits = limits
        self._fault = fault
        self._purging = purging
        self._stopping = False
        self._next = 0.0
        self._space = Space(root, limits.free)
        # What is known of a lack of room: that there is one, the bytes that did not fit, and the wall's time then.
        self._urgent = False
        self._wanted = 0
        self._since = 0.0
        self._urgent_from = 0.0
        self._bytes = self._entries = 0
        self.known: Sweep | None = None  # of the last sweep, of this process or another
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Sweep from now on."""
        self._looking.start(_LOOK, now=False)

    def stop(self) -> None:
        """Sweep no more; a sweep under way ends at its next directory."""
        self._stopping = True
        if self._looking.running:
            self._looking.stop()

    def write(self, size: int, write: Callable[[], int]) -> tuple[int, bool]:
        """Have *write* write about *size* bytes, if there is room; how many it did, and whether room gets scarce.

        On a thread. OSError where there is no room, or the medium refuses.
        """
        scarce = self._space.scarce(size)
        return write(), scarce

    def wrote(self, outcome: tuple[int, bool]) -> None:
        """An entry was written, with that outcome of `write`."""
        size, scarce = outcome
        self._bytes += size
        self._entries += 1
        self._urgent |= scarce

    def make_room(self, size: int) -> None:
        """Sweep soon: an entry of *size* bytes did not fit. The oldest go, whatever the limits and the floor allow."""
        self._urgent = True
        if not self._wanted:
            self._since = time.time()  # files have the wall's times
        self._wanted = max(self._wanted, size)

    def _look(self) -> Deferred[None] | None:
        """Sweep if it is time; no look follows before the Deferred has fired."""
        limits, now = self._limits, self._clock.seconds()
        much = 0 < limits.bytes * _MUCH < self._bytes or 0 < limits.entries * _MUCH < self._entries
        urgent = self._urgent and now >= self._urgent_from
        if not much and not urgent and now < self._next:
            return None
        wanted, since = (self._wanted, self._since) if urgent and self._wanted else (0, math.inf)
        if urgent:
            self._urgent, self._wanted = False, 0
        self._bytes = self._entries = 0

        purged = self._purging.covers_file if self._purging.unsettled(now) else None

        def work() -> tuple[Sweep | None, Sweep | None]:
            """What this sweep left, if there was one, and what the last one did."""
            swept = sweep(
                self._root,
                limits.bytes,
                limits.entries,
                limits.age,
                rest=0.0 if much or urgent else _REST,
                since=since,
                lacking=lambda: max(wanted, self._space.lacking()),
                stopping=lambda: self._stopping,
                purged=purged,
            )
            if swept is not None and purged is not None:
                self._purging.settled(now)
            return swept, swept or last_sweep(self._root)

        sweeping = self._threads.run(work).addCallbacks(self._swept, self._fault, (urgent,))
        return sweeping.addErrback(self._failed).addCallback(self._plan)

    def _swept(self, outcome: tuple[Sweep | None, Sweep | None], urgent: bool) -> None:
        result, left = outcome
        self.known = left or self.known
        if result is not None and result.removed:
            self.log.debug(
                "the janitor removed {removed} entries; {entries} with {bytes} bytes are left",
                removed=result.removed,
                entries=result.entries,
                bytes=result.bytes,
            )
        elif result is not None and urgent:  # others have filled the disk: there is no use in looking again at once
            self._urgent_from = self._clock.seconds() + _REST

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the janitor failed, and will try again", failure)

    def _plan(self, _: None) -> None:
        self._next = self._clock.seconds() + _REST
