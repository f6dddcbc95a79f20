"""SIGHUP: workers with a new configuration take over one by one.

Each accepts connections before the one that it replaces stops to, and the sockets are the parent's, so that nobody is
refused meanwhile.

What is not taken over is new code: the parent would go on with the old, and speak to workers that expect another. It
is refused where the files of the package have changed since the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

import imgforge
from imgforge.config import ConfigurationError, Settings
from imgforge.service.net.tls import CredentialsError, read_credentials
from imgforge.service.platform.allocator import raise_descriptor_limit
from imgforge.service.platform.cpus import usable_cpus
from imgforge.service.platform.systemd import Notifier
from imgforge.service.startup_report import cautions, threads_per_process
from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.worker_pool import Plan, WorkerPool

__all__ = ["ReloadObserver", "Reloader", "installed_code"]

# What belongs to the parent and stays as it was at its start.
_FIXED = ("bind", "so_reuseport", "prometheus_bind", "prometheus_namespace", "processes", "log_format")
CODE_HAS_CHANGED = (
    "the code of imgforge has changed since the start: SIGHUP cannot take it up, and changes nothing. Restart the "
    "server; nobody is refused if another one is started beside it first (IMGFORGE_SO_REUSEPORT)"
)


class ReloadObserver(Protocol):
    """Is told how a reload has ended."""

    def __call__(self, *, worked: bool) -> None:
        """*worked*: the new configuration is in use."""


def installed_code(package: Path = Path(imgforge.__file__).parent) -> bytes:
    """What tells the files of *package* from those of another version: their names, sizes and times."""
    state = blake2b(digest_size=16)
    for path in sorted(package.rglob("*.py")):
        status = path.stat()
        state.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return state.digest()


class Reloader:
    """Replaces the workers of *pool*; *load* reads the configuration anew.

    *in_use* is called with a configuration that is used, *ended* with the outcome of each reload.
    """

    log = Logger()

    def __init__(
        self,
        pool: WorkerPool,
        settings: Settings,
        load: Callable[[], Settings],
        notifier: Notifier,
        in_use: Callable[[Settings], None],
        ended: ReloadObserver,
        code: Callable[[], bytes] = installed_code,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._load = load
        self._notifier = notifier
        self._in_use = in_use
        self._ended = ended
        self._code = code
        self._code_at_start = code()
        self._replacing = False
        self._replace_again = False

    def reload(self) -> None:
        """Read the configuration anew, and have workers with it take over; a bad one changes nothing."""
        if self._pool.stopping or self._replacing:
            self._replace_again = True
            return
        self._notifier.reloading()
        try:
            plan = self._new_plan()
        except (ConfigurationError, CredentialsError) as error:
            for line in str(error).splitlines():
                self.log.error("the new configuration is not used: {line}", line=line)
            self._ended(worked=False)
            self._notifier.ready()
            return
        self._replacing = True
        Deferred.fromCoroutine(self._replace_all(plan)).addBoth(self._replaced)

    def code_has_changed(self) -> bool:
        """Whether the code that a new worker would run is not this process's own."""
        try:
            return self._code() != self._code_at_start
        except OSError:  # half of it is installed
            return True

    def _new_plan(self) -> Plan:
        if self.code_has_changed():
            raise ConfigurationError([CODE_HAS_CHANGED])
        settings = self._load()
        for name in _FIXED:
            if getattr(settings, name) != getattr(self._settings, name):
                self.log.warn("IMGFORGE_{name}: the change waits for the next start", name=name.upper())
        for line in cautions(settings, self._pool.count, raise_descriptor_limit()):
            self.log.warn("{line}", line=line)
        listeners = tuple(
            replace(one, credentials=read_credentials(one.address)) if one.credentials else one
            for one in self._pool.plan.listeners
        )
        return Plan(settings, listeners, threads_per_process(settings.workers, self._pool.count, usable_cpus()))

    async def _replace_all(self, plan: Plan) -> None:
        """One by one, so that there are never two generations of them at once; back to the old plan if one fails."""
        pool = self._pool
        before, pool.plan = pool.plan, plan
        for old in pool.workers:
            if old not in pool.workers:  # ended meanwhile: its successor has the new plan
                continue
            failure = await self._successor(old)
            if pool.stopping:
                return
            if failure:
                pool.plan = before
                self.log.error("the new configuration is not used: {reason}", reason=failure)
                self._ended(worked=False)
                if old not in pool.workers:
                    pool.spawn_in()
                return
            await old.stop("HUP", before.deadline)
        self._in_use(plan.settings)
        self._ended(worked=True)
        self.log.info("the new configuration is in use")

    async def _successor(self, old: Child) -> str:
        """Start one that is to take the place of *old*, and wait until it serves; why it never will, if so."""
        pool = self._pool
        try:
            worker = pool.spawn()
        except OSError as error:
            return f"no worker can be started: {error.strerror}"
        pool.outgoing, pool.on_trial = old, worker
        serves = await worker.ready
        pool.outgoing = pool.on_trial = None
        why = worker.start_failure
        return "" if serves else f"a worker ended at its start{f' ({why.getErrorMessage()})' if why else ''}"

    def _replaced(self, outcome: Failure | None) -> None:
        if isinstance(outcome, Failure):
            self.log.failure("not all workers have the new configuration", outcome)
            self._ended(worked=False)
        self._replacing = False
        self._notifier.ready()
        if self._replace_again:
            self._replace_again = False
            self.reload()
