"""A worker process: `python -P -m imgforge.service.worker.main`, started by the supervisor only."""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.config import BindAddress, Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import share_metrics
from imgforge.service.log_output import begin_logging
from imgforge.service.net import FIRST_INHERITED, ConnectionCounts, Credentials, Listener
from imgforge.service.platform import (
    HTTP2_SERVER,
    confine,
    die_with_parent,
    ignore_interrupts,
    left_out,
    settle,
    stop_when_told,
)
from imgforge.service.supervisor import HEARTBEAT_INTERVAL, SharedCrashTracker, report_failure, send_heartbeat

__all__ = ["main"]


@implementer(IReadDescriptor)
class _SupervisorPipe:
    """The supervisor's end of the pipe: when it closes, the supervisor is gone, and this process ends."""

    def fileno(self) -> int:
        return 0

    def logPrefix(self) -> str:
        return "supervisor"

    def doRead(self) -> Any:
        return None if os.read(0, 4096) else CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        """End if the pipe is closed, and not if the reactor stops."""
        if reason.check(ConnectionDone):
            os._exit(1)


def main() -> None:
    """Read the plan from the supervisor, and serve until asked to stop."""
    gc.disable()  # until the start is over: it would go through all modules again and again
    die_with_parent()
    ignore_interrupts()
    document = json.loads(_first_line())
    from twisted.internet import reactor  # installs it: not when this module is imported

    running = cast("IServerReactor", reactor)
    heartbeats = FIRST_INHERITED + len(document["sockets"]) + 1
    os.set_blocking(heartbeats, False)
    try:
        _start(running, document, heartbeats)
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        report_failure(heartbeats, error)
        os._exit(1)  # without waiting for threads
    running.addReader(_SupervisorPipe())
    settle()
    running.callWhenRunning(LoopingCall(send_heartbeat, heartbeats).start, HEARTBEAT_INTERVAL)
    running.run()


def _start(reactor: IServerReactor, document: dict[str, Any], heartbeats: int) -> None:
    """Start the service, which accepts connections when this returns."""
    with left_out(HTTP2_SERVER):
        from imgforge.service.assembly import ApplicationParts
        from imgforge.service.worker.process import ServingParts, ServingProcess

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
    counts = ConnectionCounts(document["slots"], FIRST_INHERITED + len(listeners))
    crash_tracker = SharedCrashTracker(document["slots"], int(name), heartbeats + 1, settings.quarantine_seconds)
    service = ServingProcess(
        reactor,
        settings,
        ServingParts(
            listeners,
            ApplicationParts(document["threads"], document["processes"], stream, directory, crash_tracker),
            share=counts.share(int(name)),
            announces=document["announces"],
        ),
    )
    reactor.callWhenRunning(stop_when_told, reactor, service.hand_over)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)


def _first_line() -> bytes:
    """The supervisor's line, without a byte beyond it."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit(1)  # the supervisor is gone
        line += part
    return line


if __name__ == "__main__":
    main()
