"""systemd: the sockets that it opened, and what it is told of the service's state.

The state goes out by sd_notify(3), a datagram of lines to the socket that systemd names: READY=1 when all workers
serve, RELOADING=1 and READY=1 again around a SIGHUP, STOPPING=1, and WATCHDOG=1 at half of the time that the unit
allows (`WatchdogSec=`), for as long as all is well.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

from twisted.application.service import IService, Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.systemd import ListenFDs

from imgforge.service.lifecycle import PeriodicCall

__all__ = ["Notifier", "sockets_from_systemd"]

_MICROSECONDS = 1_000_000
_ENVIRONMENT_AT_START = Path("/proc/self/environ")  # proc(5)


def sockets_from_systemd(environment: MutableMapping[str, str] | None = None) -> list[tuple[str, int]]:
    """The names and descriptors of the sockets that systemd passed to this process, in its order: sd_listen_fds(3).

    They are read from the environment that the process was started with: twisted.internet.endpoints takes them out of
    `os.environ` when it is imported, whoever imports it.
    """
    if environment is None:
        environment = _environment_at_start()
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if names == [""] and environment.get("LISTEN_FDS", "").isdigit():
        # As sd_listen_fds_with_names(3) has it; ListenFDs knows of no sockets without names.
        names = ["unknown"] * int(environment["LISTEN_FDS"])
        environment["LISTEN_FDNAMES"] = ":".join(names)
    return list(zip(names, ListenFDs.fromEnvironment(environment).inheritedDescriptors(), strict=False))


def _environment_at_start() -> dict[str, str]:
    try:
        variables = _ENVIRONMENT_AT_START.read_bytes().split(b"\0")
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(variable).partition("=") for variable in variables if variable)
    return {name: value for name, _, value in pairs}


class Notifier:
    """Tells systemd of the service's state; without a NOTIFY_SOCKET in *environment* it sends nothing.

    It takes systemd's variables out of *environment*, so that no process that this one starts speaks for it.
    """

    log = Logger()

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        environment = environment if environment is not None else {}
        path = environment.pop("NOTIFY_SOCKET", "")
        # "@" stands for the NUL with which names begin that are not in the file system.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog = environment.pop("WATCHDOG_USEC", "")
        self._watched = environment.pop("WATCHDOG_PID", "")

    def ready(self) -> None:
        """Tells that requests are served, or that a reload is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Tells that a new configuration is about to be read; `ready` ends that, whatever came of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tells that the service stops."""
        self._send("STOPPING=1")

    def watchdog(self, clock: IReactorTime, well: Callable[[], bool]) -> IService:
        """A service that sends signs of life, as often as the unit asks for, while *well()* is true.

        It does nothing where the unit has no watchdog for this process.
        """
        if not self._address or not self._watchdog.isdigit() or self._watched not in {"", str(os.getpid())}:
            return Service()
        interval = int(self._watchdog) / _MICROSECONDS / 2
        if not interval:
            return Service()

        def report() -> None:
            if well():
                self._send("WATCHDOG=1")

        return PeriodicCall(clock, interval, report, "systemd gets no sign of life")

    def _send(self, lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify_socket:
                notify_socket.setblocking(False)
                notify_socket.sendto(lines.encode("ascii"), self._address)
        except OSError as error:
            self.log.warn(
                "cannot tell systemd {lines!r}: {reason}; check NotifyAccess= of the unit",
                lines=lines,
                reason=error.strerror,
            )
