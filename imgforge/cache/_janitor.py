"""When a directory of entries is swept: now and then, and soon after much was written.

A purge removes what it covers by itself. What that did not finish, or came to be written later, a sweep looks for once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.cache._purging import Purging
from imgforge.cache._sweep import Sweep, sweep
from imgforge.file_threads import FileThreads

__all__ = ["Janitor", "Limits"]

# How often a process looks whether a sweep is due, and how long all of them rest after one; seconds.
_LOOK = 1.0
_REST = 60.0
# The part of a limit that one process writes before it sweeps without a rest.
_MUCH = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept: bytes of files, their number, and seconds since they were last used; 0 is no limit."""

    bytes: int = 0
    entries: int = 0
    age: float = 0.0


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
        self._bytes = self._entries = 0
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

    def wrote(self, size: int) -> None:
        """An entry of *size* bytes was written."""
        self._bytes += size
        self._entries += 1

    def _look(self) -> Deferred[None] | None:
        """Sweep if it is time; no look follows before the Deferred has fired."""
        limits = self._limits
        much = 0 < limits.bytes * _MUCH < self._bytes or 0 < limits.entries * _MUCH < self._entries
        if not much and self._clock.seconds() < self._next:
            return None
        self._bytes = self._entries = 0

        began = self._clock.seconds()
        purged = self._purging.covers_file if self._purging.unsettled(began) else None

        def work() -> Sweep | None:
            swept = sweep(
                self._root,
                limits.bytes,
                limits.entries,
                limits.age,
                rest=0.0 if much else _REST,
                stopping=lambda: self._stopping,
                purged=purged,
            )
            if swept is not None and purged is not None:
                self._purging.settled(began)
            return swept

        sweeping = self._threads.eventually(work).addCallbacks(self._swept, self._fault)
        return sweeping.addErrback(self._failed).addCallback(self._plan)

    def _swept(self, result: Sweep | None) -> None:
        if result is not None and result.removed:
            self.log.debug(
                "the janitor removed {removed} entries; {entries} with {bytes} bytes are left",
                removed=result.removed,
                entries=result.entries,
                bytes=result.bytes,
            )

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the janitor failed, and will try again", failure)

    def _plan(self, _: None) -> None:
        self._next = self._clock.seconds() + _REST
