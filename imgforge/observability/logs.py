"""Log lines: text or JSON, one line per event, filtered by namespace, each with the id of its request.

The request's record travels in a context variable: coroutines that Twisted runs keep the context that they were started
in, so that their log lines have the id. Callbacks do not keep it: those that log are wrapped in `keeping_request_id`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import provider

if TYPE_CHECKING:
    from imgforge.observability.request_record import RequestRecord

__all__ = [
    "LevelFilter",
    "LineStream",
    "bind_request",
    "current_request",
    "current_request_id",
    "keeping_request_id",
    "line_observer",
    "make_observer",
    "notice_line",
    "one_line",
    "parse_level_spec",
    "public_namespace",
]

P = ParamSpec("P")
R = TypeVar("R")

_REQUEST: ContextVar[RequestRecord | None] = ContextVar("imgforge_request", default=None)

_LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
    "trace": LogLevel.debug,
    "off": LogLevel.critical,
}
# The namespace of events from Twisted's old logging, which are Twisted's own lines above all.
_LEGACY = "log_legacy"
_RANK = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}


def bind_request(record: RequestRecord | None) -> None:
    """Sets the request that the current context, and coroutines started in it, work for."""
    _REQUEST.set(record)


def current_request() -> RequestRecord | None:
    """The request that the current context works for."""
    return _REQUEST.get()


def current_request_id() -> str:
    """The id of that request, or ""."""
    record = _REQUEST.get()
    return "" if record is None else record.identity


def keeping_request_id(callback: Callable[P, R]) -> Callable[P, R]:
    """*callback* in a context with the current request, and so its id, whoever calls it later."""
    record = current_request()

    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _REQUEST.set(record)
        try:
            return callback(*args, **kwargs)
        finally:
            _REQUEST.reset(token)

    return called


class LevelFilter:
    """The least level that is logged, by namespace: the longest prefix that is set decides."""

    def __init__(self, default: Any, namespaces: Mapping[str, Any]) -> None:
        self._default = default
        self._namespaces = dict(namespaces)

    def passes(self, namespace: str, level: Any) -> bool:
        """Whether an event is to be logged."""
        least, probe = self._default, namespace
        while probe:
            if probe in self._namespaces:
                least = self._namespaces[probe]
                break
            probe = probe.rpartition(".")[0]
        return _RANK[level] >= _RANK[least]


def parse_level_spec(text: str) -> LevelFilter:
    """Reads `info`, or `imgforge=debug,twisted=info`, or both: a bare level is for the namespaces that are not named.

    Twisted's lines on ports and connections are logged at `twisted=info`, or where the bare level is `debug`.
    `ValueError` says which item is wrong.
    """
    default: Any = LogLevel.info
    namespaces = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        namespace, equals, name = item.rpartition("=")
        level = _LEVELS.get(name.strip().lower())
        if level is None or (equals and not namespace.strip()):
            raise ValueError(f"{item!r} is not a level: use one of {', '.join(_LEVELS)}, or namespace=level")
        if equals:
            namespaces[namespace.strip().replace("::", ".")] = level
        else:
            default = level
    twisted_default = LogLevel.warn if default is LogLevel.info else default
    return LevelFilter(default, {"twisted": twisted_default} | namespaces)


class LineStream(Protocol):
    """What lines are written to: a text stream, or a `LogWriter`."""

    def write(self, text: str, /) -> object:
        """Write *text*."""

    def flush(self) -> object:
        """Keep nothing back."""


def make_observer(stream: LineStream, *, levels: LevelFilter, form: str = "text") -> ILogObserver:
    """An observer that writes the events that pass *levels* to *stream*, flushed line by line.

    *form* is text, json, gcp or structured.
    """

    def write(_level: Any, line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return line_observer(write, levels=levels, form=form)


def line_observer(write: Callable[[Any, str], object], *, levels: LevelFilter, form: str) -> ILogObserver:
    """An observer that calls *write* with the `LogLevel` and the line of each event that passes *levels*.

    The line is made at once: the id of the request, and values that change later, are those of the event.
    """
    line_of = _FORMS[form]

    @provider(ILogObserver)
    def observer(event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        namespace = public_namespace(str(event.get("log_namespace") or "-"))
        if levels.passes(namespace, level):
            write(level, line_of(event, namespace, level.name))

    log_observer: ILogObserver = observer
    return log_observer


def notice_line(form: str, text: str, **fields: Any) -> str:
    """A warning about the log itself, as a line of *form*; *text* is its format, as a `Logger` takes it."""
    event = {"log_time": time.time(), "log_format": text, **fields}
    return _FORMS[form](event, "imgforge.log", LogLevel.warn.name)


def public_namespace(namespace: str) -> str:
    """The part of a logger's name that an operator knows: the package, without our modules in it."""
    if namespace == _LEGACY:
        return "twisted"
    return ".".join(namespace.split(".")[:2]) if namespace.startswith("imgforge.") else namespace


def _time(event: LogEvent) -> str:
    return datetime.fromtimestamp(event.get("log_time", 0.0), UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _message(event: LogEvent) -> str:
    message = formatEvent(event)
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        message = f"{message}: {failure.getErrorMessage()}" if message else failure.getErrorMessage()
    return message


_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"


def _traceback(event: LogEvent) -> str:
    """The failure's traceback below its cause's, as Python prints them; "" without a failure."""
    failure = event.get("log_failure")
    if not isinstance(failure, Failure):
        return ""
    cause = getattr(failure.value, "__cause__", None)
    before = [*format_exception(cause), _CAUSED] if cause is not None else []
    return "".join([*before, failure.getTraceback()])


def one_line(text: str) -> str:
    """*text* with line breaks and control characters escaped: no value can forge a line."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _text_line(event: LogEvent, namespace: str, level: str) -> str:
    identity = event.get("request_id") or current_request_id()
    head = one_line(f"{_time(event)} {level:<5} {namespace}" + (f" [{identity}]" if identity else ""))
    traceback = _traceback(event)
    indented = "".join(f"\n    {one_line(line)}" for line in traceback.splitlines()) if traceback else ""
    return f"{head} {one_line(_message(event))}{indented}"


def _fields(event: LogEvent, namespace: str, level: tuple[str, str]) -> dict[str, object]:
    """The fields of a structured line for *event*; *level* is the name and value of the level's field."""
    line: dict[str, object] = {
        "time": _time(event),
        level[0]: level[1],
        "namespace": namespace,
        "message": _message(event),
    }
    identity = event.get("request_id") or current_request_id()
    if identity:
        line["request_id"] = identity
    for name, value in event.items():
        if not name.startswith("log_") and name not in _NOT_FIELDS and isinstance(value, (str, int, float, bool)):
            # JSON has no infinity and no NaN.
            line.setdefault(name, str(value) if isinstance(value, float) and not math.isfinite(value) else value)
    traceback = _traceback(event)
    if traceback:
        line["traceback"] = traceback
    return line


def _json_line(event: LogEvent, namespace: str, level: str) -> str:
    return json.dumps(_fields(event, namespace, ("level", level)), ensure_ascii=True, default=str)


def _gcp_line(event: LogEvent, namespace: str, level: str) -> str:
    """A JSON line for Google Cloud's logging agent (structured logging: `severity`, `message`, `time`)."""
    severity = _SEVERITIES.get(level, level.upper())
    return json.dumps(_fields(event, namespace, ("severity", severity)), ensure_ascii=True, default=str)


def _structured_line(event: LogEvent, namespace: str, level: str) -> str:
    """A line of `name=value` with blanks between; texts are quoted as in JSON."""
    fields = _fields(event, namespace, ("level", _SEVERITIES.get(level, level.upper())))
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=True)}" for name, value in fields.items())


_SEVERITIES = {"warn": "WARNING"}
_FORMS = {"text": _text_line, "json": _json_line, "gcp": _gcp_line, "structured": _structured_line}


# What Twisted's old logging adds to every event, and what is written already: a `line` is the message, or its end.
_NOT_FIELDS = frozenset({"time", "isError", "message", "format", "system", "request_id", "line"})
