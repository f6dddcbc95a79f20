"""What the end of a worker means for the sources that it was decoding.

A crash is a signal such as SIGSEGV, or a reactor that stood still until the supervisor killed the process. SIGKILL from
elsewhere is an operator's or the OOM killer's, and an exit status may mean anything: then the sources are suspects at
most. A worker that was asked to end causes no suspicion.
"""

from __future__ import annotations

import signal
from enum import Enum

from twisted.internet.error import ProcessDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.interfaces import IServerReactor
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
    """Why *worker* has ended with *reason*."""
    number = getattr(reason.value, "signal", None)
    if worker.is_hung or number in _CRASHES:
        return Cause.CRASH
    if worker.is_stopping or reason.check(ProcessDone) or number in _REQUESTS:
        return Cause.ASKED
    return Cause.UNKNOWN


class CrashQuarantine:
    """The supervisor's side of the quarantine, for *slots* workers; it outlives the server in *directory*, if any."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, slots: int, directory: str) -> None:
        self._table = QuarantineTable(slots, reactor.seconds)
        self._file = QuarantineFile(reactor, self._table, directory)

    @property
    def descriptor(self) -> int:
        """The shared memory that the workers inherit."""
        return self._table.descriptor

    def restore(self, seconds: float) -> None:
        """Quarantine the sources of an earlier server again."""
        self._file.restore(seconds)

    def size(self, seconds: float) -> int:
        """The number of sources in quarantine, for *seconds* each."""
        return len(self._table.quarantined(seconds))

    def worker_ended(self, worker: Child, reason: Failure, seconds: float) -> None:
        """Judge the sources that *worker* was decoding; a quarantine lasts *seconds*."""
        slot, cause = int(worker.name), cause_of(worker, reason)
        if cause is Cause.ASKED:
            self._table.leave(slot)
            return
        verdict = self._table.died(slot, seconds, crashed=cause is Cause.CRASH)
        for digest in verdict.quarantined:
            self.log.error(
                "a source crashed worker {pid}: quarantined for {seconds:g} s ({digest})",
                pid=worker.pid,
                seconds=seconds,
                digest=digest,
            )
        if verdict.suspected:
            self.log.warn(
                "worker {pid} was decoding {count} source(s) when it died: suspects, to be decoded one at a time",
                pid=worker.pid,
                count=len(verdict.suspected),
            )
        if verdict.quarantined:
            self._file.write(seconds)

    def close(self) -> None:
        """Release the memory."""
        self._file.close()
