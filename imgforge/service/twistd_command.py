"""`twistd imgforge`: the command line, and which service it makes."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from imgforge import __version__
from imgforge.config import ConfigurationError, Settings, load_settings
from imgforge.observability import share_metrics
from imgforge.service.checks import RULES
from imgforge.service.log_output import catch_uncaught, log_stream, observer_for
from imgforge.service.net.listeners import ListenError, open_listeners
from imgforge.service.platform.allocator import confine, raise_descriptor_limit, tune_allocator
from imgforge.service.platform.cpus import usable_cpus
from imgforge.service.platform.signals import call_on_hangup, end_with_failure, stop_on_signals
from imgforge.service.platform.systemd import Notifier
from imgforge.service.startup_report import cautions, listening, summary, threads_per_process
from imgforge.service.supervisor.metrics_directory import MetricsDirectory
from imgforge.service.supervisor.supervisor import Supervisor, SupervisorParts
from imgforge.service.supervisor.worker_pool import PoolOutput
from imgforge.service.worker.process import ServingProcess

__all__ = ["Options", "makeService"]

# What the end of the process may take beyond the grace of its requests: more than workers have before they are killed.
_WINDING_UP = 8.0
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
        """In the foreground a pid file is only in the way of the next server that is started in the same directory."""
        twistd: Any = self.parent
        if twistd["nodaemon"] and twistd["pidfile"] == _PIDFILE:
            twistd["pidfile"] = ""

    def opt_version(self) -> NoReturn:
        """Display imgforge's version and exit."""
        print(f"imgforge {__version__}")
        raise SystemExit(0)


class ImgforgeService(MultiService):
    """The service that twistd runs; it brings the log observer with it and says at the start what it is."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        stream: TextIO | None,
        lines: Iterable[str],
        warnings: Iterable[str],
        tidy: Callable[[], None],
        notifier: Notifier,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._settings = settings
        self._stream = stream
        self._lines = tuple(lines)
        self._warnings = tuple(warnings)
        self._tidy = tidy
        self._notifier = notifier

    def setServiceParent(self, parent: Any) -> None:
        """Hand our observer to the application: twistd asks it for one when the logging starts."""
        if self._stream is not None:
            parent.setComponent(ILogObserver, observer_for(self._settings, self._stream))
            catch_uncaught()
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Say what starts, then start it."""
        child: Any = self.services[0]

        def handle_signals() -> None:
            stop_on_signals(self._reactor, lambda: child.grace + _WINDING_UP, self._tidy)

        # At once: of Python's own handler KeyboardInterrupt would come, and end in some Deferred. And once more after
        # the reactor has set its handlers, which would have twistd end by the signal itself.
        handle_signals()
        self._reactor.callWhenRunning(handle_signals)
        for line in self._lines:
            self.log.info("{line}", line=line)
        for line in self._warnings:
            self.log.warn("{line}", line=line)
        self._reactor.callWhenRunning(call_on_hangup, self._reactor, child.reload)
        try:
            super().startService()
        except Exception as error:
            self.log.failure("a part of the server could not be started")
            self.log.critical("imgforge cannot start: {error}", error=f"{type(error).__name__}: {error}")
            raise SystemExit(1) from None

    def listening(self) -> None:
        """Say that requests are answered, and where."""
        for line in listening(self._settings):
            self.log.info("{line}", line=line)

    def failed(self) -> None:
        """End, with a status that says that it could not start."""
        end_with_failure(self._reactor, self._tidy)

    def stopService(self) -> Any:
        """Say so, and stop it."""
        self._notifier.stopping()
        child: Any = self.services[0]
        self.log.info("stopping: requests under way have {grace:g} s", grace=child.grace)
        return super().stopService()


def _remove_pidfile(path: str) -> None:
    """Where twistd does not come to do it, for the process ends before."""
    with suppress(OSError, ValueError):
        if path and int(Path(path).read_text()) == os.getpid():
            os.unlink(path)


def _give_up(lines: Iterable[str]) -> NoReturn:
    for line in lines:
        print(f"imgforge: {line}", file=sys.stderr)
    raise SystemExit(1)


def _tried_out(directory: str | None) -> tuple[dict[str, str], list[str]]:
    """The settings that `--try` stands for, and what to say; without its directory there are the samples."""
    if directory is None:
        return {}, []
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        return {}, [f"--try {path}: there is no such directory, or it cannot be read; there are the samples only"]
    return {"local_filesystem_root": path}, []


def makeService(options: Options) -> IService:
    """The service for *options*; a mistake in the configuration ends the process with one line for each."""
    overrides = {"bind": options["bind"]} if options["bind"] else {}
    tried, remarks = _tried_out(options["try"])
    overrides |= tried
    leftovers = ExitStack()  # what would stay in the file system
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
        _give_up(error.lines)
    except ListenError as error:
        _give_up(error.args)
    for listener in opened:
        leftovers.callback(listener.remove)
    listeners, metrics_listeners = opened[: len(settings.listeners)], opened[len(settings.listeners) :]
    cpus = usable_cpus()
    count = settings.processes or cpus
    from twisted.internet import reactor  # installed now, not when the module is looked at

    threads = threads_per_process(settings.workers, count, cpus)
    twistd_options: Any = options.parent
    leftovers.callback(_remove_pidfile, twistd_options["pidfile"])
    stream = log_stream(twistd_options)
    told = summary(settings, count, threads)
    warned = [*remarks, *cautions(settings, count, raise_descriptor_limit())]
    notifier = Notifier(os.environ)
    service = ImgforgeService(reactor, settings, stream, told, warned, leftovers.close, notifier)
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
                notifier=notifier,
                on_listening=service.listening,
                on_failure=service.failed,
            ),
        )
    else:
        tune_allocator()
        if settings.sandbox:
            confine()
        child = ServingProcess(
            reactor,
            settings,
            listeners,
            threads=threads,
            # As it is now: twistd is about to make a log of sys.stdout.
            output=stream or sys.stdout,
            metrics_listeners=metrics_listeners,
            notifier=notifier,
            listening=service.listening,
        )
    child.setServiceParent(service)
    return service
