"""The application log of a process: lines on a stream, and in syslog where it is switched on.

Threads write both, from `start` on, which a process calls when it serves: it may have been forked before. A process
calls `close` at its end, also where it ends by os._exit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogLevel

from imgforge.config import Settings
from imgforge.observability import (
    LogWriter,
    Syslog,
    SyslogReceiver,
    line_observer,
    make_observer,
    notice_line,
    parse_level_spec,
)

__all__ = ["ApplicationLog"]

_DROPPED = {
    "stream": "{count} lines of the log were dropped here: its pipe was not read, or its disk or terminal was slow; "
    "check the program that reads it",
    "syslog": "{count} lines were dropped here: syslog did not take them in time; check its receiver",
}
_SYSLOG_FORM = "structured"  # always, as imgproxy's


class ApplicationLog:
    """The log of *settings*: on *stream*, if there is one, and in syslog; twistd or `LogPublisher` gets `observers`."""

    def __init__(self, settings: Settings, stream: TextIO | None) -> None:
        self.observers: list[ILogObserver] = []
        self._writer: LogWriter | None = None
        self._syslog: Syslog | None = None
        if stream is not None:
            self._writer = LogWriter(stream, _notice(settings.log_format, "stream"))
            levels = parse_level_spec(settings.log_level)
            self.observers.append(make_observer(self._writer, levels=levels, form=settings.log_format))
        if settings.syslog_enable:
            receiver = SyslogReceiver(settings.syslog_network, settings.syslog_address, settings.syslog_tag)
            self._syslog = Syslog(receiver, _notice(_SYSLOG_FORM, "syslog"))
            self._levels = parse_level_spec(settings.syslog_level.replace("crit", "critical") or settings.log_level)
            self.observers.append(line_observer(self._syslog.send, levels=self._levels, form=_SYSLOG_FORM))

    @property
    def has_stream(self) -> bool:
        """Whether it is written to a stream."""
        return self._writer is not None

    @property
    def access_lines(self) -> Callable[[str, str], None] | None:
        """Takes the level and the text of each line of the access log, on any thread; None without syslog."""
        syslog = self._syslog
        if syslog is None:
            return None

        def send(level: str, line: str) -> None:
            constant: Any = LogLevel.levelWithName(level)
            if self._levels.passes("imgforge.access", constant):
                syslog.send(constant, line)

        return send

    def start(self) -> None:
        """Have threads write from now on."""
        for part in (self._writer, self._syslog):
            if part is not None:
                part.start()

    def close(self) -> None:
        """Write what waits, for a second each at most; further lines are written at once."""
        for part in (self._syslog, self._writer):  # syslog may have something to say on the stream
            if part is not None:
                part.close()

    def forked(self) -> None:
        """Leave what waits to the process that this one was forked from."""
        if self._syslog is not None:
            self._syslog.discard()


def _notice(form: str, place: str) -> Callable[[int], str]:
    return lambda count: notice_line(form, _DROPPED[place], count=count)
