"""`twistd imgforge`: its command line, and the service that it makes.

The modules of the supervisor, and those of a process that serves, are imported once the settings say which of them this
process is: a supervisor has neither libvips nor the web stack in memory.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO, cast

from twisted.application.service import IService
from twisted.python import usage

from imgforge import __version__
from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.plugins import plugin_modules
from imgforge.service.application_log import ApplicationLog
from imgforge.service.checks import why_unreadable
from imgforge.service.log_output import log_stream
from imgforge.service.main_service import ImgforgeService
from imgforge.service.platform import (
    HTTP2_SERVER,
    TLS,
    confine,
    has_one_thread,
    left_out,
    raise_descriptor_limit,
    tune_allocator,
    usable_cpus,
)
from imgforge.service.shares import threads_per_process
from imgforge.service.start_checks import StartChecks, is_alone
from imgforge.service.startup_lines import StartupLines, listening, warnings

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from imgforge.interfaces import IServerReactor
    from imgforge.service.net import Listener
    from imgforge.service.supervisor import Launcher, PoolOutput, TemplateProcess

__all__ = ["Options", "makeService"]

_PIDFILE = "twistd.pid"  # twistd's default


class Options(usage.Options):
    """The options of `twistd imgforge`; everything else is in the environment or the file."""

    synopsis = "[options]"
    longdesc = (
        "Serve images: fetched from an origin, resized, cropped, converted and cached. Every setting is an "
        "environment variable IMGFORGE_X or a key of the TOML file; `imgforge config reference` lists them."
    )
    optParameters = [
        ["config", "c", None, "TOML file with settings."],
        ["bind", "b", None, "Where to listen: host:port, a port, /path, or an endpoint such as tcp:8080."],
        ["try", "t", None, "Show the pictures of this directory on the demo page: without a key, on loopback."],
    ]

    def parseOptions(self, options: Any = None) -> None:
        """A mistake ends the program here: twistd would print all options of its own before it."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            hint = "; the port is set by --bind, as --bind 3000, or by IMGFORGE_BIND" if "--port" in str(error) else ""
            _exit_with([f"{error}{hint}", "twistd imgforge --help lists the options; all else is a setting"])

    def postOptions(self) -> None:
        """No pid file in the foreground: it would only keep a second server from starting in the same directory."""
        twistd: Any = self.parent
        if twistd["nodaemon"] and twistd["pidfile"] == _PIDFILE:
            twistd["pidfile"] = ""

    def opt_version(self) -> NoReturn:
        """Display imgforge's version and exit."""
        print(f"imgforge {__version__}")
        raise SystemExit(0)


def _remove_pidfile(path: str) -> None:
    """Remove twistd's pid file where the process ends before twistd does it."""
    with suppress(OSError, ValueError):
        if path and int(Path(path).read_text()) == os.getpid():
            os.unlink(path)


def _exit_with(lines: Iterable[str]) -> NoReturn:
    for line in lines:
        print(f"imgforge: {line}", file=sys.stderr)
    raise SystemExit(1)


def _settings_of_try(directory: str | None) -> tuple[dict[str, str], list[str]]:
    """The settings of `--try DIR`, and warnings.

    Without a readable directory the page shows the sample images: what is tried out first should not end in an error.
    """
    if directory is None:
        return {}, []
    path = os.path.abspath(os.path.expanduser(directory))
    why = why_unreadable(path)
    remarks = [f"--try {path}: no readable directory: {why}; only the sample images are shown"] if why else []
    return {"local_filesystem_root": path}, remarks


class _Configuration:
    """The configuration that *options* name; it is read at the start and at each reload."""

    def __init__(self, options: Options, cpus: int) -> None:
        self._path = options["config"]
        self._overrides = {"bind": options["bind"]} if options["bind"] else {}
        settings_of_try, self.remarks = _settings_of_try(options["try"])
        self._overrides |= settings_of_try
        self._is_try = options["try"] is not None
        self._cpus = cpus
        self.alone: bool | None = None  # as the settings of the start say: reloads do not change it

    def load(self) -> Settings:
        """The settings; `ConfigurationError` with a line for each mistake."""
        checks = StartChecks(self._cpus, alone=self.alone)

        def check(settings: Settings, unusable: Collection[str]) -> list[str]:
            """The directory of --try need not be readable."""
            return checks(settings, {*unusable, "local_filesystem_root"} if self._is_try else unusable)

        settings = load_settings(self._path, os.environ, self._overrides, check)
        if self._is_try and not settings.embedded:
            raise ConfigurationError(["--try is for a server without IMGFORGE_KEY and IMGFORGE_ALLOW_UNSIGNED"])
        if self.alone is None:
            self.alone = is_alone(settings, self._cpus)
        return settings.with_notes(checks.warnings)

    def load_again(self, reactor: IServerReactor) -> Deferred[Settings]:
        """The settings once more, for a reload; on a thread: plugins and secret stores may take a minute."""
        from imgforge.concurrency import call_on_thread

        return call_on_thread(reactor, self.load)


class _Start(NamedTuple):
    """The settings, the number of render threads of each process, and the listeners, with those of the metrics last."""

    settings: Settings
    threads: int
    opened: tuple[Listener, ...]

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Those for images."""
        return self.opened[: len(self.settings.listeners)]

    @property
    def metrics_listeners(self) -> tuple[Listener, ...]:
        """The separate ones for metrics."""
        return self.opened[len(self.settings.listeners) :]


def _serving_process(
    reactor: IServerReactor, service: ImgforgeService, start: _Start, output: TextIO, application_log: ApplicationLog
) -> Any:
    """The part of *service* that serves in this process; *output* gets the access log."""
    tune_allocator()
    with left_out(HTTP2_SERVER):
        from imgforge.service.assembly import ApplicationParts
        from imgforge.service.worker import ServingParts, ServingProcess

    if start.settings.sandbox:
        confine()
    parts = ServingParts(
        start.listeners,
        ApplicationParts(start.threads, output=output, access_lines=application_log.access_lines),
        metrics_listeners=start.metrics_listeners,
        notifier=service.notifier,
        on_listening=service.log_listening,
        announces=True,
    )
    return ServingProcess(reactor, start.settings, parts)


def _supervisor(
    reactor: IServerReactor,
    service: ImgforgeService,
    start: _Start,
    output: PoolOutput,
    launcher: Launcher,
    load: Callable[[], Deferred[Settings]],
    workers: int,
) -> Any:
    """The part of *service* that has *workers* serve; *load* reads the configuration again."""
    from imgforge.service.supervisor import Supervisor, SupervisorParts

    parts = SupervisorParts(
        listeners=start.listeners,
        workers=workers,
        threads=start.threads,
        output=output,
        launcher=launcher,
        load=load,
        metrics_listeners=start.metrics_listeners,
        notifier=service.notifier,
        on_listening=service.log_listening,
        on_failure=service.fail,
    )
    return Supervisor(reactor, start.settings, parts)


def _early_template(twistd: Any) -> TemplateProcess | None:
    """The template of workers, forked from this process before it has done anything that a worker is not to have.

    None where twistd is going to become another process, directory or user, or a plugin may have been imported that a
    reload imports anew: then the template is a new interpreter.
    """
    changes = ("uid", "gid", "chroot", "umask", "euid")
    if not twistd["nodaemon"] or any(twistd.get(name) for name in changes) or twistd.get("rundir", ".") != ".":
        return None
    if "twisted.internet.reactor" in sys.modules or not has_one_thread() or plugin_modules():
        return None
    from imgforge.service.supervisor import TemplateProcess

    with suppress(OSError):
        return TemplateProcess.fork()
    return None


def makeService(options: Options) -> IService:
    """The service for *options*; mistakes in the configuration end the process with one line for each."""
    gc.disable()  # until the start is over (`settle`): it would go through all modules again and again
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it means a reload: it would end the process
    cpus = usable_cpus()
    configuration = _Configuration(options, cpus)
    try:
        with left_out(HTTP2_SERVER):  # the checks of a process that serves import what it is going to use
            settings = configuration.load()
    except ConfigurationError as error:
        _exit_with(error.lines)
    template = None if configuration.alone else _early_template(options.parent)
    leftovers = ExitStack()  # files to remove at the end
    atexit.register(leftovers.close)
    addresses = (*settings.listeners, *settings.metrics_listeners)
    without_tls = not configuration.alone and all(address.kind != "ssl" for address in addresses)
    with left_out(TLS) if without_tls else nullcontext():
        from twisted.internet import reactor as installed  # installs it: not when this module is imported

        from imgforge.service.net import ListenError, open_listeners
    try:
        opened = open_listeners(addresses, reuse_port=settings.so_reuseport)
    except ListenError as error:
        _exit_with(error.args)
    for listener in opened:
        leftovers.callback(listener.remove)
    twistd_options: Any = options.parent
    leftovers.callback(_remove_pidfile, twistd_options["pidfile"])
    count = settings.processes or cpus
    lines = StartupLines(
        [*configuration.remarks, *warnings(settings, count, raise_descriptor_limit())],
        listening(settings, [listener.address for listener in opened]),
    )
    stream = log_stream(twistd_options)
    application_log = ApplicationLog(settings, stream)
    reactor = cast("IServerReactor", installed)

    def tidy() -> None:
        leftovers.close()
        application_log.close()  # last: whatever else is logged is written

    atexit.register(application_log.close)
    service = ImgforgeService(reactor, application_log, lines, tidy)
    start = _Start(settings, threads_per_process(settings, count, cpus), opened)
    if configuration.alone:
        # The stream as it is now: twistd is about to turn sys.stdout into a log.
        child = _serving_process(reactor, service, start, stream or sys.stdout, application_log)
    else:
        from imgforge.observability import share_metrics
        from imgforge.service.supervisor import Launcher, MetricsDirectory, PoolOutput

        directory = MetricsDirectory(twistd_options["uid"])
        leftovers.callback(directory.remove)
        share_metrics(directory.path, "parent")
        output = PoolOutput(directory.path, stream)
        launcher = Launcher(reactor, template)
        load = partial(configuration.load_again, reactor)
        child = _supervisor(reactor, service, start, output, launcher, load, count)
    child.setServiceParent(service)
    return service
