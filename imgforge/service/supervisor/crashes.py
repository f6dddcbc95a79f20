"""What follows from the end of a worker for the sources that it was at.

A crash is the worker's own doing, or that of the code which decodes: a signal such as SIGSEGV, or a reactor that stands
still until the parent kills the process. SIGKILL from elsewhere is an operator's or the OOM killer's, and an exit
status may mean anything: then the sources are suspects at the most. Who was asked to end has died of nothing.
"""

from __future__ import annotations

import signal
from enum import Enum
from typing import Any

from twisted.internet.error import ProcessDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.quarantine_file import QuarantineFile
from imgforge.service.supervisor.quarantine_table import QuarantineTable

__all__ = ["Cause", "CrashQuarantine", "cause_of"]

_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
_REQUESTS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Cause(Enum):
    """Why a worker has ended."""

    ASKED = "asked"
    CRASH = "crash"
    UNKNOWN = "unknown"


def cause_of(worker: Child, reason: Failure) -> Cause:
    """What *worker* ended of, for *reason*."""
    number = getattr(reason.value, "signal", None)
    if worker.is_hung or number in _CRASHES:
        return Cause.CRASH
    if worker.is_stopping or reason.check(ProcessDone) or number in _REQUESTS:
        return Cause.ASKED
    return Cause.UNKNOWN


class CrashQuarantine:
    """The parent's side of the quarantine, for *slots* workers; verdicts are kept in *directory* if there is one."""

    log = Logger()

    def __init__(self, reactor: Any, slots: int, directory: str) -> None:
        self._ward = QuarantineTable(slots, reactor.seconds)
        self._keeper = QuarantineFile(reactor, self._ward, directory)

    @property
    def descriptor(self) -> int:
        """The memory that the workers inherit."""
        return self._ward.descriptor

    def restore(self, seconds: float) -> None:
        """Refuse again what an earlier server refused."""
        self._keeper.restore(seconds)

    def size(self, seconds: float) -> int:
        """How many sources are quarantined, for *seconds* each."""
        return len(self._ward.quarantined(seconds))

    def worker_ended(self, worker: Child, reason: Failure, seconds: float) -> None:
        """Judge the sources that *worker* was at; what is quarantined is so for *seconds*."""
        slot, cause = int(worker.name), cause_of(worker, reason)
        if cause is Cause.ASKED:
            self._ward.leave(slot)
            return
        verdict = self._ward.died(slot, seconds, crashed=cause is Cause.CRASH)
        for digest in verdict.quarantined:
            self.log.error(
                "worker {pid} died of a source, which is refused for {seconds:g} s ({digest})",
                pid=worker.pid,
                seconds=seconds,
                digest=digest,
            )
        if verdict.suspected:
            self.log.warn(
                "worker {pid} was working on {count} source(s) when it died: suspects, processed one at a time",
                pid=worker.pid,
                count=len(verdict.suspected),
            )
        if verdict.quarantined:
            self._keeper.keep(seconds)

    def close(self) -> None:
        """Give the memory back."""
        self._keeper.close()
