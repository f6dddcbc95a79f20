"""A worker process, which the template forks for the supervisor (`worker.template`).

It has these descriptors, in this order:

    the document      settings and more, in JSON: a file without a name
    0                 closed when the supervisor is gone; a byte in it says that the worker may begin
    1                 the log
    2                 stderr of C libraries: a pipe to the supervisor
    heartbeats        a byte each second, from when the worker serves; or why it cannot start: a pipe to the supervisor
    connection counts, and sources under way with the quarantine: memory that all processes share
    the listening sockets
"""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.config import BindAddress, Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import share_metrics
from imgforge.service.log_output import begin_logging, end_logging
from imgforge.service.net import ConnectionCounts, Credentials, Listener
from imgforge.service.platform import (
    HTTP2_SERVER,
    confine,
    die_with_parent,
    left_out,
    raise_descriptor_limit,
    rename_process,
    settle,
    stop_when_told,
    tune_allocator,
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
            end_logging()
            os._exit(1)


def main(supervisor: int, descriptors: Sequence[int]) -> None:
    """Serve as a child of the process *supervisor* until asked to stop."""
    gc.disable()  # until the start is over: it would go through all modules again and again
    rename_process("imgforge-worker")
    inherited = _Inherited.of(descriptors)
    if not os.read(0, 1):  # this process is no child of the supervisor's before that
        return
    die_with_parent()
    if os.getppid() != supervisor:
        return
    raise_descriptor_limit()
    tune_allocator()
    with open(inherited.document, "rb") as file:
        document = json.load(file)
    from twisted.internet import reactor  # installs it: not when this module is imported

    running = cast("IServerReactor", reactor)
    os.set_blocking(inherited.heartbeats, False)
    try:
        _start(running, document, inherited)
    except (Exception, SystemExit) as error:  # a plugin may raise anything
        report_failure(inherited.heartbeats, error)
        end_logging()
        os._exit(1)  # without waiting for threads
    running.addReader(_SupervisorPipe())
    settle()
    running.callWhenRunning(LoopingCall(send_heartbeat, inherited.heartbeats).start, HEARTBEAT_INTERVAL)
    running.run()


class _Inherited(NamedTuple):
    """The numbers of the descriptors beyond the standard ones."""

    document: int
    heartbeats: int
    connection_counts: int
    quarantine: int
    sockets: Sequence[int]

    @classmethod
    def of(cls, descriptors: Sequence[int]) -> _Inherited:
        """Name *descriptors*, and put the standard ones in their places."""
        document, *standard, heartbeats, connection_counts, quarantine = descriptors[:7]
        for place, descriptor in enumerate(standard):
            os.dup2(descriptor, place)
            os.close(descriptor)
        for descriptor in descriptors[4:]:
            os.set_inheritable(descriptor, False)
        return cls(document, heartbeats, connection_counts, quarantine, descriptors[7:])


def _start(reactor: IServerReactor, document: dict[str, Any], inherited: _Inherited) -> None:
    """Start the service, which accepts connections when this returns."""
    with left_out(HTTP2_SERVER):
        from imgforge.service.assembly import ApplicationParts
        from imgforge.service.worker.announcement import announce
        from imgforge.service.worker.process import ServingParts, ServingProcess

    os.environ.update(document["variables"])  # a template may be older than they are
    settings = Settings.from_given(document["settings"])
    application_log, stream = begin_logging(settings)
    reactor.callWhenRunning(application_log.start)
    if settings.sandbox:
        confine()
    processes, threads = document["processes"], document["threads"]
    announces = document["announces"] and not announce(settings, processes, threads, application_log)
    directory, name = document["metrics"]
    share_metrics(directory, name)
    listeners = [
        Listener(
            socket.socket(fileno=descriptor),
            BindAddress(**address),
            Credentials(**credentials) if credentials else None,
        )
        for descriptor, (address, credentials) in zip(inherited.sockets, document["listeners"], strict=True)
    ]
    slots, slot = document["slots"], int(name)
    counts = ConnectionCounts(slots, inherited.connection_counts)
    crash_tracker = SharedCrashTracker(slots, slot, inherited.quarantine, settings.quarantine_seconds)
    service = ServingProcess(
        reactor,
        settings,
        ServingParts(
            listeners,
            ApplicationParts(threads, processes, stream, directory, crash_tracker, application_log.access_lines),
            share=counts.share(slot),
            announces=announces,
        ),
    )
    reactor.callWhenRunning(stop_when_told, reactor, service.hand_over)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
