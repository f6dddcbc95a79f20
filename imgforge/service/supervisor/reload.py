"""SIGHUP: workers with a new configuration replace the others one by one.

A successor accepts connections before the worker that it replaces stops, and the supervisor owns the sockets, so that
no connection is refused.

    idle ──SIGHUP──> reloading ──done──> idle
                         └─SIGHUP──> reloading, and once more ──done──> reloading

New code is not taken over: the supervisor would go on with the old code and talk to workers of another version. A
reload is refused where the files of the package have changed since the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

import imgforge
from imgforge.config import ConfigurationError, Settings
from imgforge.service.net import CredentialsError, read_credentials
from imgforge.service.platform import Notifier, raise_descriptor_limit, usable_cpus
from imgforge.service.shares import threads_per_process
from imgforge.service.startup_lines import warnings
from imgforge.service.supervisor.child import Child
from imgforge.service.supervisor.worker_pool import Plan, Replacement, WorkerPool

__all__ = ["ReloadObserver", "Reloader", "installed_code"]

# Settings of the supervisor itself, which keep their values until the next start.
_FIXED = (
    *("bind", "so_reuseport", "prometheus_bind", "prometheus_namespace", "processes", "log_format"),
    *("syslog_enable", "syslog_network", "syslog_address", "syslog_tag"),
)
CODE_HAS_CHANGED = (
    "the code of imgforge has changed since the start: SIGHUP does not load it, and changes nothing. Restart the "
    "server; no connection is refused if another server is started beside it first (IMGFORGE_SO_REUSEPORT)"
)


class ReloadObserver(Protocol):
    """What a `Reloader` reports."""

    def configuration_changed(self, settings: Settings) -> None:
        """All workers have *settings* now."""

    def reload_ended(self, *, worked: bool) -> None:
        """A reload has ended; *worked*: the new configuration is in use."""


class _Reload(Protocol):
    """The inputs of the state machine of reloads."""

    def request(self) -> None:
        """SIGHUP."""

    def finish(self) -> None:
        """All workers have been replaced, or the new configuration was refused."""


def installed_code(package: Path = Path(imgforge.__file__).parent) -> bytes:
    """A digest of the names, sizes and times of the files of *package*: another version has another one."""
    state = blake2b(digest_size=16)
    for path in sorted(package.rglob("*.py")):
        status = path.stat()
        state.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return state.digest()


class Reloader:
    """Replaces the workers of *pool*; *load* reads the configuration again."""

    log = Logger()

    def __init__(
        self,
        pool: WorkerPool,
        settings: Settings,
        load: Callable[[], Deferred[Settings]],
        notifier: Notifier,
        observer: ReloadObserver,
        code: Callable[[], bytes] = installed_code,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._load = load
        self._notifier = notifier
        self._observer = observer
        self._code = code
        self._code_at_start = code()
        self._machine = _make_machine(self)
        self.is_loading = False  # *load* may have child processes of its own

    def reload(self) -> None:
        """Read the configuration again and replace the workers; a configuration with mistakes changes nothing.

        During a reload: once more at its end.
        """
        if not self._pool.stopping:
            self._machine.request()

    def _begin(self) -> None:
        self._notifier.reloading()
        Deferred.fromCoroutine(self._load_and_replace()).addErrback(self._failed).addCallback(
            lambda _: self._machine.finish()
        )

    async def _load_and_replace(self) -> None:
        try:
            plan = await self._new_plan()
        except (ConfigurationError, CredentialsError) as error:
            for line in str(error).splitlines():
                self.log.error("the new configuration is not used: {line}", line=line)
        except Exception:
            self.log.failure("the new configuration is not used: an unexpected error")
        else:
            if not self._pool.stopping:
                await self._replace_all(plan)
            return
        self._observer.reload_ended(worked=False)

    def code_has_changed(self) -> bool:
        """Whether a new worker would run other code than this process."""
        try:
            return self._code() != self._code_at_start
        except OSError:  # half of it is installed
            return True

    async def _new_plan(self) -> Plan:
        if self.code_has_changed():
            raise ConfigurationError([CODE_HAS_CHANGED])
        self.is_loading = True
        try:
            settings = await self._load()
        finally:
            self.is_loading = False
        for name in _FIXED:
            if getattr(settings, name) != getattr(self._settings, name):
                self.log.warn("IMGFORGE_{name}: the change takes effect at the next start", name=name.upper())
        for line in warnings(settings, self._pool.count, raise_descriptor_limit()):
            self.log.warn("{line}", line=line)
        listeners = tuple(
            replace(one, credentials=read_credentials(one.address)) if one.credentials else one
            for one in self._pool.plan.listeners
        )
        return Plan(settings, listeners, threads_per_process(settings, self._pool.count, usable_cpus()))

    async def _replace_all(self, plan: Plan) -> None:
        """Replace one worker at a time; return to the old plan for further ones if a successor cannot serve."""
        pool = self._pool
        old_plan, pool.plan = pool.plan, plan
        for worker in pool.workers:
            if worker not in pool.workers:  # it has died meanwhile: its successor has the new plan
                continue
            failure = await self._start_successor(worker)
            if pool.stopping:
                return
            if failure:
                pool.plan = old_plan
                self.log.error("the new configuration is not used by all workers: {reason}", reason=failure)
                self._observer.reload_ended(worked=False)
                if worker not in pool.workers:
                    pool.spawn_in()
                return
            await worker.stop("HUP", old_plan.deadline)
        self._observer.configuration_changed(plan.settings)
        self._observer.reload_ended(worked=True)
        self.log.info("the new configuration is in use")

    async def _start_successor(self, replaced: Child) -> str:
        """Start the successor of *replaced* and wait until it serves; the reason if it never does, else empty."""
        pool = self._pool
        try:
            successor = pool.spawn()
        except OSError as error:
            return f"no worker can be started: {error.strerror}"
        pool.replacement = Replacement(replaced, successor)
        serves = await successor.ready
        pool.replacement = None
        failure = successor.start_failure
        return "" if serves else f"a worker ended at its start{f' ({failure.getErrorMessage()})' if failure else ''}"

    def _failed(self, failure: Failure) -> None:
        self.log.failure("not all workers have the new configuration", failure)
        self._observer.reload_ended(worked=False)

    def _finish(self) -> None:
        self._notifier.ready()


_builder = TypeMachineBuilder(_Reload, Reloader)
_idle, _reloading, _reloading_twice = map(_builder.state, ("idle", "reloading", "reloading, and once more"))


@_idle.upon(_Reload.request).to(_reloading)
def _start(machine: _Reload, reloader: Reloader) -> None:  # noqa: ARG001  # automat's signature
    reloader._begin()  # noqa: SLF001  # its own machine


@_reloading.upon(_Reload.finish).to(_idle)
def _end(machine: _Reload, reloader: Reloader) -> None:  # noqa: ARG001
    reloader._finish()  # noqa: SLF001


@_reloading_twice.upon(_Reload.finish).to(_idle)
def _end_and_reload(machine: _Reload, reloader: Reloader) -> None:  # noqa: ARG001
    reloader._finish()  # noqa: SLF001
    reloader.reload()


_reloading.upon(_Reload.request).to(_reloading_twice).returns(None)
_reloading_twice.upon(_Reload.request).loop().returns(None)
_make_machine = _builder.build()
