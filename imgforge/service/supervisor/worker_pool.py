"""The worker processes of a server: started as a plan says, replaced when they die, stopped together.

    parent ── fd 0: one JSON line (settings, sockets), then open for as long as the parent lives ──> worker
           ── fd 1: the log
           <─ fd 2: what C libraries have to say
           ── fd 3...: the listening sockets
           ── the next: the memory in which the workers count their connections
           <─ the next: a byte each second, from when the worker serves; or why it cannot start
           ── the next: the memory in which the workers write what they work on, and read what is quarantined

The parent accepts nothing and decodes nothing. A worker finishes what is under way when SIGTERM comes; when the parent
dies, however that is, the kernel kills it, or it ends itself as fd 0 closes: no worker outlives its parent.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.config import Settings
from imgforge.observability import mark_dead
from imgforge.service.log_output import StderrReader
from imgforge.service.net.balance import ConnectionCounts
from imgforge.service.net.listeners import FIRST_INHERITED, Listener
from imgforge.service.platform.allocator import allocator_environment
from imgforge.service.platform.signals import interrupts_held
from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.crashes import CrashQuarantine

__all__ = ["Plan", "WorkerPool"]

_RESTART_DELAY = 0.1
# A worker that dies this soon after its start may die again: each time the wait doubles, up to the longest.
_TOO_SOON = 2.0
_LONGEST_DELAY = 5.0
# What a worker may take beyond the grace of its requests before it is killed.
_KILL_AFTER = 5.0
# How often each worker may fail to start before the server is given up, if none has ever served.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What workers are started with."""

    settings: Settings
    listeners: tuple[Listener, ...]
    threads: int

    def document(self, processes: int, metrics_directory: str, name: str, slots: int) -> bytes:
        """The line that the worker called *name* is told."""
        sockets = [
            (asdict(one.address), asdict(one.credentials) if one.credentials else None) for one in self.listeners
        ]
        document = {
            "settings": self.settings.given,
            "sockets": sockets,
            "threads": self.threads,
            "processes": processes,
            "metrics": [metrics_directory, name],
            "slots": slots,
        }
        return json.dumps(document).encode() + b"\n"

    @property
    def deadline(self) -> float:
        """Seconds after which a worker that was told to end is killed."""
        return self.settings.time_to_stop + _KILL_AFTER


class WorkerPool:
    """Keeps *count* workers running by `plan`.

    *serves* is called each time that a worker comes to serve, *restarts* before one is started in the place of one that
    died, and *failed* with the reason when none has ever served and starts have failed too often.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        count: int,
        *,
        metrics_directory: str,
        log_stream: TextIO | None,
        serves: Callable[[], None],
        restarts: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self.plan = plan
        self.count = count
        self._metrics_directory = metrics_directory
        self._log_stream = log_stream
        self._serves = serves
        self._restarts = restarts
        self._failed = failed
        self._workers: dict[Child, float] = {}  # and how long the successor waits of one that dies too soon
        self._starting: set[IDelayedCall] = set()
        self.on_trial: Child | None = None
        self.outgoing: Child | None = None  # whose place that one takes
        self.stopping = False
        self._any_has_served = False
        self._failures = 0  # of starts, while none has served
        self._last_failure = ""
        self._occupancy = ConnectionCounts(2 * count)
        self._quarantine = CrashQuarantine(reactor, 2 * count, plan.settings.state_directory)

    @property
    def workers(self) -> tuple[Child, ...]:
        """Those that live now."""
        return tuple(self._workers)

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self.count):
            self._spawn_or_wait(_RESTART_DELAY)
        self._quarantine.restore(self.plan.settings.quarantine_seconds)

    def stop(self) -> list[Deferred[None]]:
        """Ask all to end; each Deferred fires when one has."""
        self._start_no_more()
        return [worker.stop("TERM", self.plan.deadline) for worker in self._workers]

    def _start_no_more(self) -> None:
        self.stopping = True
        for call in self._starting:
            call.cancel()
        self._starting.clear()

    def close(self) -> None:
        """Give the shared memory back."""
        self._occupancy.close()
        self._quarantine.close()

    @property
    def quarantined_sources(self) -> int:
        """How many sources no worker reads now."""
        return self._quarantine.size(self.plan.settings.quarantine_seconds)

    def spawn(self, delay: float = _RESTART_DELAY) -> Child:
        """Start a worker, whose successor waits *delay* seconds if it dies too soon; OSError where there is no room."""
        taken = {worker.name for worker in self._workers}
        name = next(name for name in map(str, range(self._occupancy.slots)) if name not in taken)
        document = self.plan.document(self.count, self._metrics_directory, name, self._occupancy.slots)
        worker = Child(self._reactor, name, document, self._ended)
        output = self._log_stream.fileno() if self._log_stream is not None else 1
        passed = [listener.socket.fileno() for listener in self.plan.listeners]
        stderr = StderrReader(self._reactor)
        descriptors: dict[int, Any] = {0: "w", 1: output, 2: stderr.writer}
        passed_on = (*passed, self._occupancy.descriptor, "r", self._quarantine.descriptor)
        descriptors |= dict(enumerate(passed_on, FIRST_INHERITED))
        environment = dict(os.environ) | allocator_environment()
        # -P: the working directory, which -m would put first, is not imported from; PYTHONPATH still counts.
        command = [sys.executable, "-P", "-m", "imgforge.service.worker.main"]
        try:
            with interrupts_held():
                self._reactor.spawnProcess(worker, sys.executable, command, env=environment, childFDs=descriptors)
        except BaseException:
            stderr.close()
            raise
        stderr.follow(worker.pid)
        self._workers[worker] = delay
        worker.ready.addCallback(self._ready)
        return worker

    def _ready(self, serves: bool) -> bool:
        """A worker serves, or never will."""
        if serves:
            self._any_has_served = True
            self._last_failure = ""
            self._serves()
        return serves

    def _ended(self, worker: Child, reason: Failure) -> None:
        """A worker is gone: start another unless it was to go."""
        delay = self._workers.pop(worker)
        mark_dead(worker.name, self._metrics_directory)
        self._occupancy.leave(int(worker.name))
        self._quarantine.worker_ended(worker, reason, self.plan.settings.quarantine_seconds)
        if self.stopping or worker.leaving:
            return
        why = self._explained(worker, reason)
        if worker is self.on_trial:
            return
        if self._reactor.seconds() - worker.born >= _TOO_SOON:
            delay = _RESTART_DELAY
        if worker is self.outgoing:  # its successor is on its way
            delay = 0.0
        self.log.error(
            "worker {pid} {ended} ({reason}); another one starts in {delay:g} s",
            pid=worker.pid,
            ended="ended" if worker.serves else "could not start",
            reason=why,
            delay=delay,
        )
        self._restarts()
        if worker is self.outgoing or (not worker.serves and self._start_failed(why)):
            return
        self.spawn_in(delay)

    def _explained(self, worker: Child, reason: Failure) -> str:
        """Why *worker* has ended; what it says of a start that failed is logged in full, but not again and again."""
        failure = worker.start_failure
        if failure is None:
            return reason.getErrorMessage()
        why = failure.getErrorMessage()
        if why != self._last_failure:
            self._last_failure = why
            self.log.failure("worker {pid} could not start", failure, pid=worker.pid)
        return why

    def _start_failed(self, reason: str) -> bool:
        """Count it; whether that was the last try."""
        self._failures += not self._any_has_served
        if self._any_has_served or self._failures < _TRIES * self.count:
            return False
        self._start_no_more()
        self._failed(reason)
        return True

    def spawn_in(self, delay: float = _RESTART_DELAY) -> None:
        """Start a worker in *delay* seconds; as often as it takes, should the machine have no room for a process."""

        def start() -> None:
            self._starting.discard(call)
            self._spawn_or_wait(min(delay * 2, _LONGEST_DELAY))

        call = self._reactor.callLater(delay, start)
        self._starting.add(call)

    def _spawn_or_wait(self, delay: float) -> None:
        try:
            self.spawn(delay)
        except OSError as error:
            why = f"no worker can be started: {error.strerror}"
            self.log.error("{reason}", reason=why)
            if not self._start_failed(why):
                self.spawn_in(delay)
