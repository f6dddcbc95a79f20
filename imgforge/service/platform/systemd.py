"""What systemd is told of the service's state: sd_notify(3), which is a datagram of lines to the socket that it names.

READY=1 when all workers serve, RELOADING=1 and READY=1 again around a SIGHUP, STOPPING=1, and WATCHDOG=1 at half of
the time that the unit allows (`WatchdogSec=`), for as long as all is well.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Notifier"]

_MICROSECONDS = 1_000_000


class Notifier:
    """Takes what it needs out of *environment*, so that no other process speaks for us; without it, it says nothing."""

    log = Logger()

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        environment = environment if environment is not None else {}
        path = environment.pop("NOTIFY_SOCKET", "")
        # "@" stands for the NUL with which names begin that are in no file system.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog = environment.pop("WATCHDOG_USEC", "")
        self._watched = environment.pop("WATCHDOG_PID", "")

    def ready(self) -> None:
        """Requests are served; or a reload is over."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A new configuration is about to be read; `ready` ends that, whatever came of it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def watch(self, reactor: Any, well: Callable[[], bool]) -> None:
        """Say from now on that the service lives, as often as the unit asks for it and *well()* says so."""
        if not self._address or not self._watchdog.isdigit() or self._watched not in {"", str(os.getpid())}:
            return
        interval = int(self._watchdog) / _MICROSECONDS / 2
        if interval:
            saying = LoopingCall(lambda: self._tell("WATCHDOG=1") if well() else None)
            saying.clock = reactor
            saying.start(interval)

    def _tell(self, lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
                telling.setblocking(False)
                telling.sendto(lines.encode("ascii"), self._address)
        except OSError as error:
            self.log.warn("systemd could not be told {lines!r}: {reason}", lines=lines, reason=error.strerror)
