"""When a directory of entries is swept: once a minute, soon after much was written, and at once when the disk is full.

A purge removes the entries it covers itself. A sweep looks once for those that the purge did not reach, or that were
written after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache.eviction.free_space import FreeSpace
from imgforge.cache.eviction.sweeping import DiskLimits, Sweep, SweepOptions, last_sweep, sweep
from imgforge.cache.purge import FINAL_AFTER, KnownPurges
from imgforge.concurrency import FileThreads

__all__ = ["Janitor"]

# How often a process checks whether a sweep is due, and the pause of all processes after a sweep; seconds.
_CHECK_INTERVAL = 1.0
_REST = 60.0
# The part of a limit after which a process that has written that much sweeps without the pause.
_MUCH = 0.1


class Janitor(Service):
    """Keeps *root* under *limits*, on one of *threads*; *on_fault* is called with the faults of the medium.

    *forget* is called on a thread after a sweep for the entries that *purges* cover, with the time before which none is
    left.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        threads: FileThreads,
        root: str,
        limits: DiskLimits,
        on_fault: Callable[[Failure], None],
        purges: KnownPurges,
        forget: Callable[[float], None],
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._root = root
        self._limits = limits
        self._on_fault = on_fault
        self._purges = purges
        self._forget = forget
        self._stopping = False
        self._next_sweep = 0.0
        self._free_space = FreeSpace(root, limits.free)
        # Whether free space is scarce, the bytes of the largest entry that did not fit, and the time of the first one.
        self._urgent = False
        self._wanted = 0
        self._wanted_since = 0.0
        self._urgent_from = 0.0
        self._written_bytes = self._written_entries = 0
        self.last_sweep: Sweep | None = None  # by any process
        self._checks = LoopingCall(self._check)
        self._checks.clock = clock

    def startService(self) -> None:
        """Check from now on whether a sweep is due."""
        super().startService()
        self._checks.start(_CHECK_INTERVAL, now=False)

    def stopService(self) -> None:
        """Check no more; a sweep under way ends at its next directory."""
        super().stopService()
        self._stopping = True
        if self._checks.running:
            self._checks.stop()

    def purged_before(self) -> float:
        """The time of the purges, in seconds since the epoch, of which no entry is left."""
        return (self.last_sweep.looked_at if self.last_sweep is not None else 0.0) - FINAL_AFTER

    def write(self, size: int, write: Callable[[], int]) -> tuple[int, bool]:
        """Call *write*, which writes about *size* bytes; returns how many it wrote, and whether free space is scarce.

        On a thread. OSError where there is no space, or the medium refuses.
        """
        scarce = self._free_space.is_scarce(size)
        return write(), scarce

    def add_written(self, outcome: tuple[int, bool]) -> None:
        """Count an entry that was written, with the *outcome* of `write`."""
        size, scarce = outcome
        self._written_bytes += size
        self._written_entries += 1
        self._urgent |= scarce

    def make_space(self, size: int) -> None:
        """Sweep soon, for an entry of *size* bytes did not fit: the oldest entries go, even below all limits."""
        self._urgent = True
        if not self._wanted:
            self._wanted_since = time.time()  # comparable to the times of files
        self._wanted = max(self._wanted, size)

    def _check(self) -> Deferred[None] | None:
        """Sweep if it is due; the next check follows when the Deferred has fired."""
        limits, now = self._limits, self._clock.seconds()
        much = 0 < limits.bytes * _MUCH < self._written_bytes or 0 < limits.entries * _MUCH < self._written_entries
        urgent = self._urgent and now >= self._urgent_from
        if not much and not urgent and now < self._next_sweep:
            return None
        wanted, since = (self._wanted, self._wanted_since) if urgent and self._wanted else (0, math.inf)
        if urgent:
            self._urgent, self._wanted = False, 0
        self._written_bytes = self._written_entries = 0
        look_for_purged = self._purges.final_unswept(self.purged_before())
        options = SweepOptions(
            rest=0.0 if much or urgent else _REST,
            since=since,
            stopping=lambda: self._stopping,
            purged=self._purges.covers_file if look_for_purged else None,
            lacking=lambda: max(wanted, self._free_space.lacking()),
        )

        def work() -> tuple[Sweep | None, Sweep | None]:
            """The result of this sweep, if it was not skipped, and that of the last one."""
            result = sweep(self._root, limits, options)
            if result is not None and look_for_purged:
                self._forget(now - FINAL_AFTER)
            return result, result or last_sweep(self._root)

        sweeping = self._threads.run(work).addCallbacks(self._swept, self._on_fault, (urgent,))
        return sweeping.addErrback(self._failed).addCallback(self._schedule)

    def _swept(self, outcome: tuple[Sweep | None, Sweep | None], urgent: bool) -> None:
        result, last = outcome
        self.last_sweep = last or self.last_sweep
        if result is not None and result.removed:
            self.log.debug(
                "the disk cache evicted {removed} entries; {entries} entries with {bytes} bytes are left",
                removed=result.removed,
                entries=result.entries,
                bytes=result.bytes,
            )
        elif result is not None and urgent:  # other programs fill the disk: another sweep at once would be in vain
            self._urgent_from = self._clock.seconds() + _REST

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the eviction of the disk cache failed; it is tried again in a minute", failure)

    def _schedule(self, _: None) -> None:
        self._next_sweep = self._clock.seconds() + _REST
