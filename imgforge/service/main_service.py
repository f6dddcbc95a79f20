"""The service that twistd runs: the log, signals, and around them a supervisor or a process that serves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.logger import ILogObserver, Logger, LogPublisher, globalLogPublisher

from imgforge.interfaces import IServerReactor
from imgforge.service.application_log import ApplicationLog
from imgforge.service.log_output import catch_uncaught
from imgforge.service.platform import Notifier, call_on_hangup, end_with_failure, settle, stop_on_signals
from imgforge.service.startup_lines import StartupLines

__all__ = ["ImgforgeService"]

# Seconds that the stop may take beyond the grace of requests: more than workers have before they are killed.
_STOP_MARGIN = 8.0


class ImgforgeService(MultiService):
    """The service that twistd runs: it sets the log observer, logs *lines* at its start, and handles signals.

    *tidy* removes what the server has put into the file system; it runs before the process ends in whatever way.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IServerReactor,
        application_log: ApplicationLog,
        lines: StartupLines,
        tidy: Callable[[], None],
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._application_log = application_log
        self._lines = lines
        self._tidy = tidy
        self.notifier = Notifier(os.environ)

    def setServiceParent(self, parent: Any) -> None:
        """Give the application a log observer: twistd asks for it when logging starts.

        twistd has one of its own with `--logger` and `--syslog`.
        """
        application_log = self._application_log
        if application_log.has_stream:
            parent.setComponent(ILogObserver, LogPublisher(*application_log.observers))
            catch_uncaught()
        else:
            for observer in application_log.observers:
                globalLogPublisher.addObserver(observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Log the warnings, then start the server."""
        child: Any = self.services[0]

        def handle_signals() -> None:
            stop_on_signals(self._reactor, lambda: child.grace + _STOP_MARGIN, self._tidy)

        # At once, since Python's own handler raises KeyboardInterrupt, which some Deferred would swallow. And again
        # after the reactor has set its own handlers, by which twistd would end by the signal itself.
        handle_signals()
        self._reactor.callWhenRunning(handle_signals)
        for line in self._lines.warnings:
            self.log.warn("{line}", line=line)
        self._reactor.callWhenRunning(call_on_hangup, self._reactor, child.reload)
        self._reactor.callWhenRunning(settle)
        self._reactor.callWhenRunning(self._application_log.start)  # not before twistd has daemonized: it forks
        try:
            super().startService()
        except Exception as error:
            self.log.failure("a part of the server could not be started")
            self.log.critical("imgforge cannot start: {error}", error=f"{type(error).__name__}: {error}")
            raise SystemExit(1) from None

    def log_listening(self) -> None:
        """Log the addresses that accept requests."""
        for line in self._lines.listening:
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
