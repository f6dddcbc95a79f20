"""The application log over OTLP: each event that the log has, with the trace of its request."""

from __future__ import annotations

import traceback
from typing import Any

from opentelemetry._logs import Logger as OtelLogger
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace.propagation import set_span_in_context
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from imgforge.errors import ImgforgeError
from imgforge.observability import LevelFilter, RequestRecord, current_request, public_namespace
from imgforge.service.telemetry.otel.span_attributes import shown_target

__all__ = ["LogRecords"]

_SEVERITIES = {
    LogLevel.debug: SeverityNumber.DEBUG,
    LogLevel.info: SeverityNumber.INFO,
    LogLevel.warn: SeverityNumber.WARN,
    LogLevel.error: SeverityNumber.ERROR,
    LogLevel.critical: SeverityNumber.FATAL,
}
# What the exporters log of their own failures would be sent by them again.
_OWN = ("opentelemetry", "urllib3", "grpc")
_LONGEST = 4000  # characters of a message
_LONGEST_STACK = 8000


@implementer(ILogObserver)
class LogRecords:
    """Hands the events that pass *levels* to *logger*."""

    def __init__(self, logger: OtelLogger, levels: LevelFilter) -> None:
        self._logger = logger
        self._levels = levels

    def __call__(self, event: LogEvent) -> None:
        """See `ILogObserver`; on any thread."""
        level = event.get("log_level") or LogLevel.info
        namespace = public_namespace(str(event.get("log_namespace") or "-"))
        if namespace.startswith(_OWN) or not self._levels.passes(namespace, level):
            return
        request = current_request()
        identity = event.get("request_id") or (request.identity if request is not None else "")
        attributes: dict[str, Any] = {"logger.name": namespace}
        if identity:
            attributes["request_id"] = identity
        attributes |= _exception(event.get("log_failure"))
        at = int(event.get("log_time", 0.0) * 1e9)
        self._logger.emit(
            LogRecord(
                timestamp=at,
                observed_timestamp=at,
                context=_trace_of(request),
                severity_text=level.name.upper(),
                severity_number=_SEVERITIES[level],
                body=_message(event)[:_LONGEST],
                attributes=attributes,
            )
        )


def _trace_of(request: RequestRecord | None) -> Context:
    """The trace of the request that logs, if it is sampled; several may have one id at the same time."""
    if request is None or not request.trace_id:
        return Context()
    return set_span_in_context(request.trace, Context())


def _message(event: LogEvent) -> str:
    """The text of *event*; the target of a request is without secrets, as in spans."""
    target = event.get("target")
    if isinstance(target, str):
        event = {**event, "target": shown_target(target.encode("utf-8", "replace"))}
    return formatEvent(event)


def _exception(failure: Any) -> dict[str, str]:
    """The attributes of an exception: the text of an unexpected one may have any secret in it, so only its type is."""
    if not isinstance(failure, Failure) or failure.value is None:
        return {}
    error = failure.value
    stack = "".join(traceback.format_tb(failure.getTracebackObject()))
    return {
        "exception.type": type(error).__name__,
        "exception.message": error.logged if isinstance(error, ImgforgeError) else type(error).__name__,
        "exception.stacktrace": stack[-_LONGEST_STACK:],
    }
