"""The parent of several processes: it opens the listeners, starts workers that inherit them, and replaces the dead.

    parent ── fd 0: one JSON line (settings, sockets), then open for as long as the parent lives ──> worker
           ── fd 1, 2: the log
           ── fd 3...: the listening sockets

The parent accepts nothing and decodes nothing. A worker finishes what is under way when SIGTERM comes; when the parent
dies, however that is, the kernel kills it, or it ends itself as fd 0 closes: no worker outlives its parent.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.config import Settings
from imgforge.observability import Metrics, mark_dead
from imgforge.service._listeners import FIRST_INHERITED, Listener, adopt
from imgforge.service._machine import allocator_environment
from imgforge.service._metrics_site import metrics_site

__all__ = ["Supervisor"]

_RESTART_DELAY = 0.1
# A worker that dies this soon after its start may die again: each time the wait doubles, up to the longest.
_TOO_SOON = 2.0
_LONGEST_DELAY = 5.0
# What a worker may take beyond the grace of its requests before it is killed.
_KILL_AFTER = 5.0


class Supervisor(Service):
    """Keeps *count* workers running on *listeners*."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        listeners: Sequence[Listener],
        *,
        workers: int,
        threads: int,
        metrics_directory: str,
        log_stream: TextIO | None,
        metrics_listeners: Sequence[Listener] = (),
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._listeners = listeners
        self._count = workers
        self._threads = threads
        self._metrics_directory = metrics_directory
        self._log_stream = log_stream
        self._metrics_listeners = metrics_listeners
        self._metrics = Metrics()
        self._workers: set[_Worker] = set()
        self._starting: set[IDelayedCall] = set()
        self._ports: list[IListeningPort] = []
        self._stopping = False

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        if self._metrics_listeners:
            site = metrics_site(self._reactor, self._settings, self._metrics)
            self._ports = [adopt(self._reactor, listener, site) for listener in self._metrics_listeners]
        for _ in range(self._count):
            self._spawn(_RESTART_DELAY)

    def stopService(self) -> Deferred[None]:
        """Stop the workers and wait for them."""
        super().stopService()
        self._stopping = True
        for call in self._starting:
            call.cancel()
        for listener in (*self._listeners, *self._metrics_listeners):
            listener.socket.close()
        deadline = self._settings.shutdown_delay + self._settings.grace + _KILL_AFTER
        waits: list[Deferred[Any]] = [worker.stop(deadline) for worker in self._workers]
        waits += [stopping for port in self._ports if (stopping := port.stopListening()) is not None]
        return DeferredList(waits).addCallback(lambda _: None)

    def _spawn(self, delay: float) -> None:
        """Start a worker, whose successor waits *delay* seconds if it dies too soon."""
        taken = {worker.name for worker in self._workers}
        name = next(name for name in map(str, count()) if name not in taken)
        sockets = [
            (asdict(listener.address), asdict(listener.credentials) if listener.credentials else None)
            for listener in self._listeners
        ]
        document = {
            "settings": self._settings.given,
            "sockets": sockets,
            "threads": self._threads,
            "processes": self._count,
            "metrics": [self._metrics_directory, name],
        }
        line = json.dumps(document)
        worker = _Worker(self, name, line.encode() + b"\n", self._reactor.seconds(), delay)
        output = self._log_stream.fileno() if self._log_stream is not None else 1
        descriptors: dict[int, Any] = {0: "w", 1: output, 2: output}
        for number, listener in enumerate(self._listeners):
            descriptors[FIRST_INHERITED + number] = listener.socket.fileno()
        environment = dict(os.environ) | allocator_environment()
        command = [sys.executable, "-m", "imgforge.service.worker"]
        self._reactor.spawnProcess(worker, sys.executable, command, env=environment, childFDs=descriptors)
        self._workers.add(worker)

    def worker_ended(self, worker: _Worker, reason: Failure) -> None:
        """A worker is gone: start another unless all are to go."""
        self._workers.discard(worker)
        mark_dead(worker.name, self._metrics_directory)
        if self._stopping:
            return
        delay = worker.delay if self._reactor.seconds() - worker.born < _TOO_SOON else _RESTART_DELAY
        self.log.error(
            "worker {pid} ended ({reason}); another one starts in {delay:g} s",
            pid=worker.pid,
            reason=reason.getErrorMessage(),
            delay=delay,
        )
        self._metrics.worker_restarted()
        self._spawn_in(delay)

    def _spawn_in(self, delay: float) -> None:
        """Start a worker in *delay* seconds; as often as it takes, should the machine have no room for a process."""

        def start() -> None:
            self._starting.discard(call)
            following = min(delay * 2, _LONGEST_DELAY)
            try:
                self._spawn(following)
            except OSError as error:
                self.log.error("no worker can be started ({reason})", reason=error.strerror)
                self._spawn_in(following)

        call = self._reactor.callLater(delay, start)
        self._starting.add(call)


class _Worker(ProcessProtocol):
    """One worker process, from the parent's side; *name* is the smallest number that no other one has."""

    def __init__(self, supervisor: Supervisor, name: str, configuration: bytes, born: float, delay: float) -> None:
        self._supervisor = supervisor
        self.name = name
        self._configuration = configuration
        self._ended: Deferred[None] = Deferred()
        self.born = born
        self.delay = delay
        self.pid = 0

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.pid = transport.pid
        transport.write(self._configuration)

    def processEnded(self, reason: Failure) -> None:
        self._ended.callback(None)
        self._supervisor.worker_ended(self, reason)

    def stop(self, deadline: float) -> Deferred[None]:
        """Ask the worker to end; kill it after *deadline* seconds."""
        if not self._ended.called:
            self._signal("TERM")
            reactor = self._supervisor._reactor  # noqa: SLF001  # the two are one
            killing = reactor.callLater(deadline, self._signal, "KILL")
            self._ended.addCallback(lambda _: killing.active() and killing.cancel())
        return self._ended

    def _signal(self, name: str) -> None:
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):  # and `processEnded` is about to say so
            transport.signalProcess(name)
