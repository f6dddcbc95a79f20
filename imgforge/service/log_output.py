"""The destination of log lines, also of workers: twistd's terminal or log file.

Printed text, warnings and uncaught exceptions become events, and so lines in the log's format. The supervisor reads and
logs what C libraries write to a worker's stderr (`StderrReader`).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import ILogObserver, Logger, LogLevel, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import make_observer, parse_level_spec
from imgforge.service.application_log import ApplicationLog

__all__ = ["StderrReader", "begin_logging", "catch_uncaught", "end_logging", "log_stream", "observer_for"]

log = Logger()

_LONGEST_LINE = 8192
_begun: list[ApplicationLog] = []  # of this process, if it is a worker
_LEVELS = ((logging.CRITICAL, LogLevel.critical), (logging.ERROR, LogLevel.error), (logging.WARNING, LogLevel.warn))


def log_stream(twistd_options: Any) -> TextIO | None:
    """The stream that twistd's options choose; None with `--logger` or `--syslog`, which bring an observer.

    A file is opened for appending, so that supervisor and workers can write to it at the same time.
    """
    if twistd_options.get("logger") or twistd_options.get("syslog"):
        return None
    path = twistd_options.get("logfile") or ("-" if twistd_options.get("nodaemon") else "twistd.log")
    if path == "-":
        return sys.stdout
    return open(os.path.abspath(path), "a", encoding="utf-8", buffering=1)


def observer_for(settings: Settings, stream: TextIO) -> ILogObserver:
    """The log observer of the settings for a command, which writes each line at once."""
    return make_observer(stream, form=settings.log_format, levels=parse_level_spec(settings.log_level))


def begin_logging(settings: Settings) -> tuple[ApplicationLog, TextIO]:
    """Log to standard output from now on, printed text included; returns the log, and that stream for the access log.

    What was logged before is the main process's: a worker is forked from a process that has been forked from it.
    `end_logging` writes what waits.
    """
    stream = sys.stdout
    catch_uncaught()
    begun = ApplicationLog(settings, stream)
    _begun.append(begun)
    globalLogBeginner.beginLoggingTo(begun.observers, discardBuffer=True)
    return begun, stream


def end_logging() -> None:
    """Write the lines that wait, within a bound: this process is about to end."""
    for begun in _begun:
        begun.close()


def catch_uncaught() -> None:
    """Log what Python would print: uncaught exceptions, also of threads, and records of `logging`."""
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread
    logging.lastResort = _Forwarder(logging.WARNING)


def _failure(error: BaseException | None, kind: type[BaseException] | None, trace: Any) -> Failure:
    return Failure(error if error is not None else (kind or Exception)(), kind, trace)


def _uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.failure("an uncaught exception ends this process", _failure(error, kind, trace))


def _uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:
        return
    name = arguments.thread.name if arguments.thread is not None else "unknown"
    failure = _failure(arguments.exc_value, arguments.exc_type, arguments.exc_traceback)
    log.failure("an uncaught exception ends the thread {thread}", failure, thread=name)


def _unraisable(arguments: Any) -> None:
    place = repr(arguments.object) if arguments.object is not None else "unknown"
    failure = _failure(arguments.exc_value, arguments.exc_type, arguments.exc_traceback)
    log.failure("an exception was ignored in {place}", failure, LogLevel.error, place=place)


class _Forwarder(logging.Handler):
    """Logs the records of libraries that use `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as an event, with its traceback."""
        level = next((ours for theirs, ours in _LEVELS if record.levelno >= theirs), LogLevel.info)
        fields: dict[str, Any] = {"line": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            kind, error, trace = record.exc_info
            fields["log_failure"] = _failure(error, kind, trace)
        try:
            Logger(namespace=record.name).emit(level, "{line}", **fields)
        except Exception:
            traceback.print_exc()


@implementer(IReadDescriptor)
class StderrReader:
    """Logs the lines that a worker, or a C library in it, writes to stderr; `writer` is its descriptor 2.

    The pipe is not one of the process protocol's: a child of a worker that keeps it open would otherwise delay
    `processEnded`.
    """

    log = Logger()

    def __init__(self, reactor: IServerReactor) -> None:
        self._reactor = reactor
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._pid: Callable[[], int] = lambda: 0
        self._rest = b""

    def follow(self, pid: Callable[[], int]) -> None:
        """Log the output of process *pid()*, until it and its children have closed their end."""
        self._pid = pid
        os.close(self.writer)
        self._reactor.addReader(self)

    def close(self) -> None:
        """Close both ends: no process was started."""
        os.close(self.writer)
        os.close(self._reader)

    def fileno(self) -> int:
        """See `IReadDescriptor`."""
        return self._reader

    def logPrefix(self) -> str:
        """See `IReadDescriptor`."""
        return "stderr"

    def doRead(self) -> Any:
        """Log whole lines."""
        try:
            data = os.read(self._reader, 65536)
        except BlockingIOError:
            return None
        if not data:
            return CONNECTION_DONE
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        self._log_lines(lines)
        return None

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002
        """Log the rest: the other end is closed, or the reactor stops."""
        self._log_lines([self._rest])
        self._rest = b""
        self._reactor.removeReader(self)
        os.close(self._reader)

    def _log_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            if line.strip():
                text = line[:_LONGEST_LINE].decode("utf-8", "replace")
                self.log.error("worker {pid} wrote to stderr: {line}", pid=self._pid(), line=text)
