"""The worker processes of a server: started by a plan, replaced when they die, stopped together.

`Launcher` starts them, `worker.main` lists what they get. The supervisor accepts no connections and decodes nothing. A
worker finishes the requests under way after SIGTERM. When the supervisor dies, the kernel kills its workers, or they
end themselves as a pipe closes: no worker outlives it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import mark_dead
from imgforge.service.log_output import StderrReader
from imgforge.service.net import ConnectionCounts, Listener
from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.crashes import Cause, CrashQuarantine, cause_of
from imgforge.service.supervisor.launcher import Launcher

__all__ = ["Plan", "PoolObserver", "PoolOutput", "Replacement", "WorkerPool"]

_RESTART_DELAY = 0.1
# Backoff, in seconds: after a death within `_TOO_SOON` of the start the delay doubles, up to `_LONGEST_DELAY`.
_TOO_SOON = 2.0
_LONGEST_DELAY = 5.0
# Seconds that a worker may take beyond the grace of its requests before it is killed.
_KILL_AFTER = 5.0
# Failed starts of each worker after which the server ends, if no worker has ever served.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What workers are started with: settings, sockets, and the number of render threads in each."""

    settings: Settings
    listeners: tuple[Listener, ...]
    threads: int

    def document(self, processes: int, metrics_directory: str, name: str, slots: int, *, announces: bool) -> bytes:
        """The JSON text for the worker *name*; it *announces* versions and formats in the log, or another one does."""
        listeners = [
            (asdict(one.address), asdict(one.credentials) if one.credentials else None) for one in self.listeners
        ]
        document = {
            "settings": self.settings.given,
            "variables": dict(self.settings.variables),
            "listeners": listeners,
            "threads": self.threads,
            "processes": processes,
            "metrics": [metrics_directory, name],
            "slots": slots,
            "announces": announces,
        }
        return json.dumps(document).encode()

    @property
    def deadline(self) -> float:
        """Seconds after which a worker that was asked to end is killed."""
        return self.settings.time_to_stop + _KILL_AFTER


class Replacement(NamedTuple):
    """A reload's step: the worker to be replaced, and its successor, which does not serve yet."""

    replaced: Child
    successor: Child


class PoolObserver(Protocol):
    """What a `WorkerPool` reports."""

    def worker_serves(self) -> None:
        """A worker has begun to serve."""

    def worker_restarts(self) -> None:
        """A worker is about to be started in the place of one that died."""

    def no_worker_starts(self, reason: str) -> None:
        """No worker has ever served, and starts have failed too often."""


@dataclass(frozen=True, slots=True)
class PoolOutput:
    """Where workers write: the directory of the metrics' files, and the log, standard output without one."""

    metrics_directory: str
    log_stream: TextIO | None = None


class WorkerPool(Service):
    """Keeps *count* workers running by `plan`."""

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        launcher: Launcher,
        plan: Plan,
        count: int,
        output: PoolOutput,
        observer: PoolObserver,
    ) -> None:
        self._reactor = reactor
        self._launcher = launcher
        self.plan = plan
        self.count = count
        self._output = output
        self._observer = observer
        self._workers: dict[Child, float] = {}  # with the backoff of a successor if the worker dies too soon
        self._starting: set[IDelayedCall] = set()
        self.replacement: Replacement | None = None
        self.stopping = False
        self._any_has_served = False
        self._failed_starts = 0  # while no worker has served
        self._last_failure = ""
        self._connection_counts = ConnectionCounts(2 * count)
        self._quarantine = CrashQuarantine(reactor, 2 * count, plan.settings.prepare_state_directory())

    @property
    def workers(self) -> tuple[Child, ...]:
        """The workers that live now."""
        return tuple(self._workers)

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        for _ in range(self.count):
            self._spawn_or_wait(_RESTART_DELAY)
        self._quarantine.restore(self.plan.settings.quarantine_seconds)

    def stopService(self) -> Deferred[None]:
        """Close the sockets and ask all workers to end; fires when they have."""
        super().stopService()
        self._cancel_starts()
        for listener in self.plan.listeners:
            listener.socket.close()
        ends = [worker.stop("TERM", self.plan.deadline) for worker in self._workers]
        return DeferredList(ends).addCallback(lambda _: self._close())

    def _cancel_starts(self) -> None:
        self.stopping = True
        for call in self._starting:
            call.cancel()
        self._starting.clear()

    def _close(self) -> None:
        """Release the template and the shared memory."""
        self._launcher.close()
        self._connection_counts.close()
        self._quarantine.close()

    @property
    def quarantined_sources(self) -> int:
        """The number of sources in quarantine."""
        return self._quarantine.size(self.plan.settings.quarantine_seconds)

    def spawn(self, delay: float = _RESTART_DELAY) -> Child:
        """Start a worker; if it dies too soon, its successor waits *delay* seconds. OSError if fork fails."""
        taken = {worker.name for worker in self._workers}
        slots = self._connection_counts.slots
        name = next(name for name in map(str, range(slots)) if name not in taken)
        announces = name == "0" and not self._any_has_served
        document = self.plan.document(self.count, self._output.metrics_directory, name, slots, announces=announces)
        worker = Child(self._reactor, name, self._ended)
        log = self._output.log_stream.fileno() if self._output.log_stream is not None else 1
        shared = (
            self._connection_counts.descriptor,
            self._quarantine.descriptor,
            *(listener.socket.fileno() for listener in self.plan.listeners),
        )
        stderr = StderrReader(self._reactor)
        try:
            self._launcher.launch(worker, document, log, stderr.writer, shared)
        except BaseException:
            stderr.close()
            raise
        stderr.follow(lambda: worker.pid)
        self._workers[worker] = delay
        worker.ready.addCallback(self._ready)
        return worker

    def _ready(self, serves: bool) -> bool:
        if serves:
            self._any_has_served = True
            self._last_failure = ""
            self._observer.worker_serves()
        return serves

    def _ended(self, worker: Child, reason: Failure) -> None:
        """A worker is gone: start another unless it was asked to end."""
        delay = self._workers.pop(worker)
        mark_dead(worker.name, self._output.metrics_directory)
        self._connection_counts.leave(int(worker.name))
        if cause_of(worker, reason) is Cause.CRASH:
            self._launcher.retire()
        self._quarantine.worker_ended(worker, reason, self.plan.settings.quarantine_seconds)
        if self.stopping or worker.is_stopping:
            return
        if self.replacement is not None and worker is self.replacement.successor:  # the reload reports it
            self._explained(worker, reason)
            return
        if reason.check(ProcessDone) or getattr(reason.value, "signal", None) == signal.SIGTERM:
            # SIGTERM may go to all processes, and a worker end by it before this process hears of it.
            self._call_unless_stopping(_RESTART_DELAY, lambda: self._replace(worker, reason, delay))
        else:
            self._replace(worker, reason, delay)

    def _replace(self, worker: Child, reason: Failure, delay: float) -> None:
        """Start a worker in place of *worker*, in *delay* seconds if it has died too soon."""
        why = self._explained(worker, reason)
        replaced = self.replacement.replaced if self.replacement is not None else None
        if self._reactor.seconds() - worker.started_at >= _TOO_SOON:
            delay = _RESTART_DELAY
        if worker is replaced:  # its successor is starting
            delay = 0.0
        self.log.error(
            "{worker} {ended} ({reason}); another one starts in {delay:g} s",
            worker=f"worker {worker.pid}" if worker.pid else "a worker",
            ended="ended" if worker.has_served else "could not start",
            reason=why,
            delay=delay,
        )
        self._observer.worker_restarts()
        if worker is replaced or (not worker.has_served and self._start_failed(why)):
            return
        self.spawn_in(delay)

    def _explained(self, worker: Child, reason: Failure) -> str:
        """Why *worker* has ended; the report of a failed start is logged in full, a repeated one only once."""
        failure = worker.start_failure
        if failure is None:
            return reason.getErrorMessage()
        why = failure.getErrorMessage()
        if why != self._last_failure:
            self._last_failure = why
            self.log.failure("the traceback of worker {pid}, which could not start", failure, pid=worker.pid)
        return why

    def _start_failed(self, reason: str) -> bool:
        """Count a failed start; whether it was the last attempt."""
        self._failed_starts += not self._any_has_served
        if self._any_has_served or self._failed_starts < _TRIES * self.count:
            return False
        self._cancel_starts()
        self._observer.no_worker_starts(reason)
        return True

    def spawn_in(self, delay: float = _RESTART_DELAY) -> None:
        """Start a worker in *delay* seconds; retried with backoff while fork fails."""

        self._call_unless_stopping(delay, lambda: self._spawn_or_wait(min(delay * 2, _LONGEST_DELAY)))

    def _call_unless_stopping(self, delay: float, work: Callable[[], None]) -> None:
        def start() -> None:
            self._starting.discard(call)
            work()

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
