"""`twistd imgforge`: its command line, and the service that it makes."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from imgforge import __version__
from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import share_metrics
from imgforge.service.assembly import ApplicationParts
from imgforge.service.checks import RULES
from imgforge.service.log_output import catch_uncaught, log_stream, observer_for
from imgforge.service.net import ListenError, open_listeners
from imgforge.service.platform import (
    Notifier,
    call_on_hangup,
    confine,
    end_with_failure,
    raise_descriptor_limit,
    stop_on_signals,
    tune_allocator,
    usable_cpus,
)
from imgforge.service.startup_report import StartupReport, listening, summary, warnings
from imgforge.service.supervisor import MetricsDirectory, PoolOutput, Supervisor, SupervisorParts
from imgforge.service.translation import threads_per_process
from imgforge.service.worker import ServingParts, ServingProcess

__all__ = ["Options", "makeService"]

# Seconds that the stop may take beyond the grace of requests: more than workers have before they are killed.
_STOP_MARGIN = 8.0
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

    def postOptions(self) -> None:
        """No pid file in the foreground: it would only keep a second server from starting in the same directory."""
        twistd: Any = self.parent
        if twistd["nodaemon"] and twistd["pidfile"] == _PIDFILE:
            twistd["pidfile"] = ""

    def opt_version(self) -> NoReturn:
        """Display imgforge's version and exit."""
        print(f"imgforge {__version__}")
        raise SystemExit(0)


class ImgforgeService(MultiService):
    """The service that twistd runs: it sets the log observer, logs *report* at its start, and handles signals.

    *tidy* removes what the server has put into the file system; it runs before the process ends in whatever way.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        settings: Settings,
        stream: TextIO | None,
        report: StartupReport,
        tidy: Callable[[], None],
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._stream = stream
        self._report = report
        self._tidy = tidy
        self.notifier = Notifier(os.environ)

    def setServiceParent(self, parent: Any) -> None:
        """Give the application a log observer: twistd asks for it when logging starts."""
        if self._stream is not None:
            parent.setComponent(ILogObserver, observer_for(self._settings, self._stream))
            catch_uncaught()
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Log the report, then start the server."""
        child: Any = self.services[0]

        def handle_signals() -> None:
            stop_on_signals(self._reactor, lambda: child.grace + _STOP_MARGIN, self._tidy)

        # At once, since Python's own handler raises KeyboardInterrupt, which some Deferred would swallow. And again
        # after the reactor has set its own handlers, by which twistd would end by the signal itself.
        handle_signals()
        self._reactor.callWhenRunning(handle_signals)
        for line in self._report.lines:
            self.log.info("{line}", line=line)
        for line in self._report.warnings:
            self.log.warn("{line}", line=line)
        self._reactor.callWhenRunning(call_on_hangup, self._reactor, child.reload)
        try:
            super().startService()
        except Exception as error:
            self.log.failure("a part of the server could not be started")
            self.log.critical("imgforge cannot start: {error}", error=f"{type(error).__name__}: {error}")
            raise SystemExit(1) from None

    def log_listening(self) -> None:
        """Log the addresses that accept requests."""
        for line in self._report.listening:
            self.log.info("{line}", line=line)

    def fail(self) -> None:
        """End with status 1: no worker can be started."""
        end_with_failure(self._reactor, self._tidy)

    def stopService(self) -> Any:
        """Announce the stop, and stop the server."""
        self.notifier.stopping()
        child: Any = self.services[0]
        self.log.info("stopping: requests under way have {grace:g} s", grace=child.grace)
        return super().stopService()


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
    """The settings of `--try DIR`, and warnings; without a readable directory only the sample images are shown."""
    if directory is None:
        return {}, []
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        return {}, [f"--try {path}: no readable directory; only the sample images are shown"]
    return {"local_filesystem_root": path}, []


def makeService(options: Options) -> IService:
    """The service for *options*; mistakes in the configuration end the process with one line for each."""
    overrides = {"bind": options["bind"]} if options["bind"] else {}
    settings_of_try, remarks = _settings_of_try(options["try"])
    overrides |= settings_of_try
    leftovers = ExitStack()  # files to remove at the end
    atexit.register(leftovers.close)

    def load() -> Settings:
        return load_settings(options["config"], os.environ, overrides, RULES)

    try:
        settings = load()
        if options["try"] is not None and not settings.embedded:
            raise ConfigurationError(["--try is for a server without IMGFORGE_KEY and IMGFORGE_ALLOW_UNSIGNED"])
        addresses = (*settings.listeners, *settings.metrics_listeners)
        opened = open_listeners(addresses, reuse_port=settings.so_reuseport)
    except ConfigurationError as error:
        _exit_with(error.lines)
    except ListenError as error:
        _exit_with(error.args)
    for listener in opened:
        leftovers.callback(listener.remove)
    listeners, metrics_listeners = opened[: len(settings.listeners)], opened[len(settings.listeners) :]
    cpus = usable_cpus()
    count = settings.processes or cpus
    from twisted.internet import reactor as installed  # installs it: not when this module is imported

    reactor = cast("IServerReactor", installed)

    threads = threads_per_process(settings, count, cpus)
    twistd_options: Any = options.parent
    leftovers.callback(_remove_pidfile, twistd_options["pidfile"])
    stream = log_stream(twistd_options)
    report = StartupReport(
        summary(settings, count, threads),
        [*remarks, *warnings(settings, count, raise_descriptor_limit())],
        listening(settings, [listener.address for listener in opened]),
    )
    service = ImgforgeService(reactor, settings, stream, report, leftovers.close)
    if count > 1:
        directory = MetricsDirectory(twistd_options["uid"])
        leftovers.callback(directory.remove)
        share_metrics(directory.path, "parent")
        child: Any = Supervisor(
            reactor,
            settings,
            SupervisorParts(
                listeners=listeners,
                workers=count,
                threads=threads,
                output=PoolOutput(directory.path, stream),
                load=load,
                metrics_listeners=metrics_listeners,
                notifier=service.notifier,
                on_listening=service.log_listening,
                on_failure=service.fail,
            ),
        )
    else:
        tune_allocator()
        if settings.sandbox:
            confine()
        child = ServingProcess(
            reactor,
            settings,
            ServingParts(
                listeners,
                # As it is now: twistd is about to turn sys.stdout into a log.
                ApplicationParts(threads, output=stream or sys.stdout),
                metrics_listeners=metrics_listeners,
                notifier=service.notifier,
                on_listening=service.log_listening,
            ),
        )
    child.setServiceParent(service)
    return service
