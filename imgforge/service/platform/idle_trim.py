"""Memory goes back to the system once nothing has been under way for a while.

The allocator is set to keep what it once had (see `tune_allocator`), for the next image needs it again; after a burst
that may be a gigabyte which nothing needs for hours. Free pages are given back then, also those between others in use,
on a thread: it takes milliseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

__all__ = ["IdleTrim", "resident"]

_LOOK_INTERVAL = 1.0
_IDLE_LOOKS = 5
_WORTH_IT = 32 << 20  # bytes that the process must have grown by since the last time


def resident() -> int:
    """The bytes of memory that this process occupies."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class IdleTrim:
    """Looks each second at what *active* says is under way, and trims after some looks at nothing."""

    log = Logger()

    def __init__(self, reactor: Any, active: Callable[[], int]) -> None:
        self._reactor = reactor
        self._active = active
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        self._idle_looks = 0
        self._floor = 0
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Look from now on."""
        if self._trim is not None:
            self._floor = resident()
            self._looking.start(_LOOK_INTERVAL, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        if self._active():
            self._idle_looks = 0
            return
        self._idle_looks += 1
        if self._idle_looks == _IDLE_LOOKS and resident() - self._floor > _WORTH_IT:
            trimming = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._give_back)
            trimming.addErrback(lambda failure: self.log.failure("memory cannot be given back", failure))

    def _give_back(self) -> None:
        before = resident()
        if self._trim is not None:
            self._trim(0)
        self._floor = resident()
        self.log.debug("gave {bytes} bytes of memory back", bytes=before - self._floor)
