"""Memory goes back to the system once the process has been idle for a while.

The allocator is set to keep freed memory (see `tune_allocator`), as the next image needs it again; after a burst that
may be a gigabyte that nothing needs for hours. An idle process gives all free pages back, also those between others in
use (malloc_trim(3)), on a thread: it takes milliseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from imgforge.interfaces import IServerReactor

__all__ = ["IdleTrim", "resident"]

_CHECK_INTERVAL = 1.0  # seconds
_IDLE_CHECKS = 5  # in a row, before memory is given back
_MIN_GROWTH = 32 << 20  # bytes that the process must have grown by since the last time


def resident() -> int:
    """The resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class IdleTrim(Service):
    """Checks each second how many requests are *active*, and gives memory back after five checks without any."""

    log = Logger()

    def __init__(self, reactor: IServerReactor, active: Callable[[], int]) -> None:
        self._reactor = reactor
        self._active = active
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        self._idle_checks = 0
        self._resident_before = 0
        self._checking = LoopingCall(self._check)
        self._checking.clock = reactor

    def startService(self) -> None:
        """Begins to check."""
        super().startService()
        if self._trim is not None:
            self._resident_before = resident()
            self._checking.start(_CHECK_INTERVAL, now=False)

    def stopService(self) -> None:
        """Ends the checks."""
        super().stopService()
        if self._checking.running:
            self._checking.stop()

    def _check(self) -> None:
        if self._active():
            self._idle_checks = 0
            return
        self._idle_checks += 1
        if self._idle_checks == _IDLE_CHECKS and resident() - self._resident_before > _MIN_GROWTH:
            trimming = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._give_back)
            trimming.addErrback(lambda failure: self.log.failure("giving free memory back failed", failure))

    def _give_back(self) -> None:
        before = resident()
        if self._trim is not None:
            self._trim(0)
        self._resident_before = resident()
        self.log.debug("gave {bytes} bytes of free memory back to the system", bytes=before - self._resident_before)
