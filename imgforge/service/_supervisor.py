"""The parent of several processes: it opens the listeners, starts workers that inherit them, and replaces the dead.

    parent ── fd 0: one JSON line (settings, sockets), then open for as long as the parent lives ──> worker
           ── fd 1, 2: the log
           ── fd 3...: the listening sockets
           ── the next: the memory in which the workers count their connections
           <─ the next: a byte each second, from when the worker serves
           ── the next: the memory in which the workers write what they work on, and read what is quarantined

The parent accepts nothing and decodes nothing. A worker finishes what is under way when SIGTERM comes; when the parent
dies, however that is, the kernel kills it, or it ends itself as fd 0 closes: no worker outlives its parent.

SIGHUP has workers with a new configuration take over one by one. Each accepts connections before the one that it
replaces stops to, and the sockets are the parent's, so that nobody is refused meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from imgforge.config import ConfigurationError, Settings
from imgforge.observability import Metrics, mark_dead
from imgforge.service._balance import Occupancy
from imgforge.service._child import Child
from imgforge.service._cpus import usable_cpus
from imgforge.service._listeners import FIRST_INHERITED, Listener, adopt
from imgforge.service._machine import allocator_environment, raise_descriptor_limit
from imgforge.service._metrics_site import metrics_site
from imgforge.service._notify import Notifier
from imgforge.service._quarantine import Ward
from imgforge.service._quarantine_file import Keeper
from imgforge.service._summary import cautions, threads_per_process
from imgforge.service._tls import CredentialsError, read_credentials
from imgforge.web import ImageSite

__all__ = ["Supervisor"]

_RESTART_DELAY = 0.1
# A worker that dies this soon after its start may die again: each time the wait doubles, up to the longest.
_TOO_SOON = 2.0
_LONGEST_DELAY = 5.0
# What a worker may take beyond the grace of its requests before it is killed.
_KILL_AFTER = 5.0
# What belongs to the parent and stays as it was at its start.
_FIXED = ("bind", "so_reuseport", "prometheus_bind", "prometheus_namespace", "processes", "log_format")


@dataclass(frozen=True, slots=True)
class _Plan:
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


class Supervisor(Service):
    """Keeps so many *workers* running on *listeners*; *load* reads the configuration anew."""

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
        load: Callable[[], Settings],
        metrics_listeners: Sequence[Listener] = (),
        notifier: Notifier | None = None,
    ) -> None:
        self._notifier = notifier or Notifier()
        self._told_ready = False
        self._reactor = reactor
        self._settings = settings
        self._plan = _Plan(settings, tuple(listeners), threads)
        self._count = workers
        self._metrics_directory = metrics_directory
        self._log_stream = log_stream
        self._load = load
        self._metrics_listeners = metrics_listeners
        self._metrics = Metrics(namespace=settings.prometheus_namespace)
        self._workers: dict[Child, float] = {}  # and how long the successor waits of one that dies too soon
        self._on_trial: Child | None = None
        self._outgoing: Child | None = None  # whose place that one takes
        self._replacing = False
        self._replace_again = False
        self._starting: set[IDelayedCall] = set()
        self._ports: list[IListeningPort] = []
        self._site: ImageSite | None = None  # of the metrics' own listeners
        self._stopping = False
        self._occupancy = Occupancy(2 * workers)
        self._ward = Ward(2 * workers, reactor.seconds)
        self._keeper = Keeper(reactor, self._ward, settings.kept_directory)

    @property
    def grace(self) -> float:
        """Seconds that the stop may take."""
        return self._plan.settings.time_to_stop

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        if self._metrics_listeners:
            self._site = metrics_site(self._reactor, self._settings, self._metrics)
            self._ports = [adopt(self._reactor, listener, self._site) for listener in self._metrics_listeners]
        for _ in range(self._count):
            self._spawn(_RESTART_DELAY)
        self._notifier.watch(self._reactor, lambda: not any(worker.silent for worker in self._workers))
        self._keeper.restore(self._settings.quarantine_seconds)

    def stopService(self) -> Deferred[None]:
        """Stop the workers and wait for them."""
        super().stopService()
        self._stopping = True
        for call in self._starting:
            call.cancel()
        for listener in (*self._plan.listeners, *self._metrics_listeners):
            listener.socket.close()
        waits: list[Deferred[Any]] = [worker.stop("TERM", self._plan.deadline) for worker in self._workers]
        waits += [stopping for port in self._ports if (stopping := port.stopListening()) is not None]
        return DeferredList(waits).addCallback(lambda _: self._close())

    def _close(self) -> None:
        self._occupancy.close()
        self._keeper.close()

    def _spawn(self, delay: float) -> Child:
        """Start a worker, whose successor waits *delay* seconds if it dies too soon."""
        taken = {worker.name for worker in self._workers}
        name = next(name for name in map(str, range(self._occupancy.slots)) if name not in taken)
        worker = Child(
            self._reactor,
            name,
            self._plan.document(self._count, self._metrics_directory, name, self._occupancy.slots),
            self._worker_ended,
        )
        output = self._log_stream.fileno() if self._log_stream is not None else 1
        passed = [listener.socket.fileno() for listener in self._plan.listeners]
        descriptors: dict[int, Any] = {0: "w", 1: output, 2: output}
        passed_on = (*passed, self._occupancy.descriptor, "r", self._ward.descriptor)
        descriptors |= dict(enumerate(passed_on, FIRST_INHERITED))
        environment = dict(os.environ) | allocator_environment()
        # -P: the working directory, which -m would put first, is not imported from; PYTHONPATH still counts.
        command = [sys.executable, "-P", "-m", "imgforge.service.worker"]
        self._reactor.spawnProcess(worker, sys.executable, command, env=environment, childFDs=descriptors)
        self._workers[worker] = delay
        worker.ready.addCallback(self._ready)
        return worker

    def _ready(self, serves: bool) -> bool:
        """One more worker serves, or never will; the first time that all do the server is there."""
        if not self._told_ready and sum(worker.serves for worker in self._workers) >= self._count:
            self._told_ready = True
            self._notifier.ready()
        return serves

    def _worker_ended(self, worker: Child, reason: Failure) -> None:
        """A worker is gone: start another unless it was to go."""
        delay = self._workers.pop(worker)
        mark_dead(worker.name, self._metrics_directory)
        self._occupancy.leave(int(worker.name))
        if worker.leaving or reason.check(ProcessDone):
            self._ward.leave(int(worker.name))
        else:
            self._condemn(worker)
        if self._stopping or worker.leaving or worker is self._on_trial:
            return
        if self._reactor.seconds() - worker.born >= _TOO_SOON:
            delay = _RESTART_DELAY
        if worker is self._outgoing:  # its successor is on its way
            delay = 0.0
        self.log.error(
            "worker {pid} ended ({reason}); another one starts in {delay:g} s",
            pid=worker.pid,
            reason=reason.getErrorMessage(),
            delay=delay,
        )
        self._metrics.worker_restarted()
        if worker is self._outgoing:
            return
        self._spawn_in(delay)

    def _condemn(self, worker: Child) -> None:
        """Have no worker read what *worker* has died of."""
        seconds = self._plan.settings.quarantine_seconds
        sources = self._ward.died(int(worker.name), seconds)
        for digest in sources:
            self.log.error(
                "worker {pid} died of a source, which is refused for {seconds:g} s ({digest})",
                pid=worker.pid,
                seconds=seconds,
                digest=digest,
            )
        if sources:
            self._keeper.keep(seconds)

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

    def reload(self) -> None:
        """Read the configuration anew, and have workers with it take over; a bad one changes nothing."""
        if self._stopping or self._replacing:
            self._replace_again = True
            return
        self._notifier.reloading()
        try:
            plan = self._new_plan()
        except (ConfigurationError, CredentialsError) as error:
            for line in str(error).splitlines():
                self.log.error("the new configuration is not used: {line}", line=line)
            self._notifier.ready()
            return
        self._replacing = True
        Deferred.fromCoroutine(self._replace_all(plan)).addBoth(self._replaced)

    def _new_plan(self) -> _Plan:
        settings = self._load()
        for name in _FIXED:
            if getattr(settings, name) != getattr(self._settings, name):
                self.log.warn("IMGFORGE_{name}: the change waits for the next start", name=name.upper())
        for line in cautions(settings, self._count, raise_descriptor_limit()):
            self.log.warn("{line}", line=line)
        listeners = tuple(
            replace(one, credentials=read_credentials(one.address)) if one.credentials else one
            for one in self._plan.listeners
        )
        return _Plan(settings, listeners, threads_per_process(settings.workers, self._count, usable_cpus()))

    async def _replace_all(self, plan: _Plan) -> None:
        """One by one, so that there are never two generations of them at once; back to the old plan if one fails."""
        before, self._plan = self._plan, plan
        for old in tuple(self._workers):
            if old not in self._workers:  # ended meanwhile: its successor has the new plan
                continue
            self._outgoing, self._on_trial = old, self._spawn(_RESTART_DELAY)
            serves = await self._on_trial.ready
            self._outgoing = self._on_trial = None
            if self._stopping:
                return
            if not serves:
                self._plan = before
                self.log.error("the new configuration is not used: a worker ended at its start")
                if old not in self._workers:
                    self._spawn_in(_RESTART_DELAY)
                return
            await old.stop("HUP", before.deadline)
        if self._site is not None:  # its secret and headers may be others
            self._site.resource = metrics_site(self._reactor, plan.settings, self._metrics).resource
        self.log.info("the new configuration is in use")

    def _replaced(self, outcome: Failure | None) -> None:
        if isinstance(outcome, Failure):
            self.log.failure("not all workers have the new configuration", outcome)
        self._replacing = False
        self._notifier.ready()
        if self._replace_again:
            self._replace_again = False
            self.reload()
