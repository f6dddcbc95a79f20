"""A worker process: `python -P -m imgforge.service.worker.main`, started by the supervisor only."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.config import BindAddress, Settings
from imgforge.observability import share_metrics
from imgforge.service.log_output import begin_logging
from imgforge.service.net.balance import ConnectionCounts
from imgforge.service.net.listeners import FIRST_INHERITED, Listener
from imgforge.service.net.tls import Credentials
from imgforge.service.platform.allocator import confine, die_with_parent
from imgforge.service.platform.signals import ignore_interrupts, stop_when_told
from imgforge.service.supervisor.child import HEARTBEAT_INTERVAL, report_failure, send_heartbeat
from imgforge.service.supervisor.quarantine_table import SharedCrashTracker
from imgforge.service.worker.process import ServingProcess

__all__ = ["main"]


@implementer(IReadDescriptor)
class _Parent:
    """The parent's end of the pipe: when it closes the parent is gone, and so are we if the kernel did not end us."""

    def fileno(self) -> int:
        return 0

    def logPrefix(self) -> str:
        return "parent"

    def doRead(self) -> Any:
        return None if os.read(0, 4096) else CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        """The pipe is closed, which epoll may say without anything to read; or it is the reactor that ends."""
        if reason.check(ConnectionDone):
            os._exit(1)


def main() -> None:
    """Read what to do from the parent, and serve until told to stop."""
    die_with_parent()
    ignore_interrupts()
    document = json.loads(_first_line())
    from twisted.internet import reactor  # installed now, not when the module is looked at

    running: Any = reactor
    beats = FIRST_INHERITED + len(document["sockets"]) + 1
    os.set_blocking(beats, False)
    try:
        _start(running, document, beats)
    except (Exception, SystemExit) as error:  # of a plugin too, which may do anything
        report_failure(beats, error)
        os._exit(1)  # whatever threads there are by now
    running.addReader(_Parent())
    running.callWhenRunning(LoopingCall(send_heartbeat, beats).start, HEARTBEAT_INTERVAL)
    running.run()


def _start(reactor: Any, document: dict[str, Any], beats: int) -> None:
    """All that may fail; the service accepts connections when it returns."""
    settings = Settings.from_given(document["settings"])
    stream = begin_logging(settings)
    if settings.sandbox:
        confine()
    directory, name = document["metrics"]
    share_metrics(directory, name)
    listeners = [
        Listener(
            socket.socket(fileno=FIRST_INHERITED + number),
            BindAddress(**address),
            Credentials(**credentials) if credentials else None,
        )
        for number, (address, credentials) in enumerate(document["sockets"])
    ]
    occupancy = ConnectionCounts(document["slots"], FIRST_INHERITED + len(listeners))
    witness = SharedCrashTracker(document["slots"], int(name), beats + 1, settings.quarantine_seconds)
    service = ServingProcess(
        reactor,
        settings,
        listeners,
        threads=document["threads"],
        processes=document["processes"],
        output=stream,
        directory=directory,
        share=occupancy.share(int(name)),
        witness=witness,
    )
    reactor.callWhenRunning(stop_when_told, reactor, service.hand_over)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)


def _first_line() -> bytes:
    """The line that the parent wrote, and nothing behind it."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit(1)  # the parent process is gone
        line += part
    return line


if __name__ == "__main__":
    main()
