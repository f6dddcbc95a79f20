"""Spans of requests: views of their records.

    begun   the sampler decides; the root span exists from now on, as its ids go to origins
    ended   the attributes of the root, and a child for each step of the record, with the times that the record has

No context is ever attached: the root is in the record, and the children are given it. Equal requests that waited for
one work each have its steps, which may have begun before them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter, TextMapPropagator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation import set_span_in_context
from twisted.internet.defer import CancelledError
from zope.interface import implementer

from imgforge.errors import ImgforgeError
from imgforge.observability import IRequestObserver, RequestRecord, Stage, Step, error_type
from imgforge.service.telemetry.otel.span_attributes import (
    image_attributes,
    option_attributes,
    request_attributes,
    source_attributes,
)

__all__ = ["ROUTES", "SPAN_NAMES", "RequestTracer", "nanoseconds"]

# The routes that are traced, as in imgproxy: no health checks, no metrics.
ROUTES = frozenset({"/{*path}", "/info/{*path}"})

# imgproxy's names of spans where it has them; other steps have the names of the record.
SPAN_NAMES = {
    Stage.WAIT: "queue",
    Stage.FETCH: "downloading_source_image",
    Stage.PROCESS: "processing_image",
    "stream": "streaming_image",
    "cache": "cache_lookup",
    "attempt": "origin_request",
    "hedge": "hedged_origin_request",
}
# Steps that are a part of a stage: their spans are children of its span.
_PARENTS = {"attempt": Stage.FETCH, "hedge": Stage.FETCH, "encode": Stage.PROCESS}
_TO_ORIGINS = frozenset({"attempt", "hedge"})

_SERVER_ERROR = 500
_LONGEST_STACK = 8000  # characters
_SLACK = 0.001  # seconds by which clocks of two threads may differ


@implementer(IRequestObserver)
class RequestTracer:
    """Traces requests by *tracer*; their context goes to origins where *propagates* is set."""

    def __init__(self, tracer: Tracer, propagator: TextMapPropagator, *, propagates: bool = False) -> None:
        self._tracer = tracer
        self._propagator = propagator
        self._fields = tuple(name.lower().encode("latin-1") for name in sorted(propagator.fields))
        self._propagates = propagates

    def begun(self, record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """See `IRequestObserver`."""
        if record.route not in ROUTES:
            return
        context = Context()
        if any(map(header, self._fields)):
            context = self._propagator.extract(header, context, _HEADERS)
        span = self._tracer.start_span(
            "/request", context, SpanKind.SERVER, request_attributes(record), start_time=nanoseconds(record.began)
        )
        record.trace = span
        if self._propagates:
            carrier: list[tuple[str, str]] = []
            self._propagator.inject(carrier, set_span_in_context(span, context), _PAIRS)
            record.propagated = tuple(carrier)
        if span.is_recording():
            record.trace_id = format_trace_id(span.get_span_context().trace_id)

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        span: Any = record.trace
        if span is None or not span.is_recording():
            return
        span.set_attributes(image_attributes(record))
        if record.failure is not None and not isinstance(record.failure, CancelledError):
            _note_error(span, record, record.failure, record.ended)
        elif record.status >= _SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        self._add_steps(record, set_span_in_context(span, Context()))
        span.end(nanoseconds(record.ended))

    def _add_steps(self, record: RequestRecord, root: Context) -> None:
        """The spans of the steps: those of stages first, as the others' may be children of theirs."""
        steps = sorted(record.steps, key=lambda step: step.name in _PARENTS)
        stages: list[tuple[Step, Span]] = []
        for step in steps:
            parent = root
            if step.name in _PARENTS:
                for stage, span in stages:
                    around = stage.began - _SLACK <= step.began and step.ended <= stage.ended + _SLACK
                    if stage.name == _PARENTS[step.name] and around:
                        parent = set_span_in_context(span, Context())
            made = self._tracer.start_span(
                SPAN_NAMES.get(step.name, step.name),
                parent,
                SpanKind.CLIENT if step.name in _TO_ORIGINS else SpanKind.INTERNAL,
                _step_attributes(step, record),
                start_time=nanoseconds(step.began),
            )
            if step.error is not None and not isinstance(step.error, CancelledError):
                _note_error(made, record, step.error, step.ended)
            made.end(nanoseconds(max(step.began, step.ended)))
            stages.append((step, made))


def nanoseconds(seconds: float) -> int:
    """Seconds since the epoch in OpenTelemetry's unit."""
    return int(seconds * 1e9)


def _step_attributes(step: Step, record: RequestRecord) -> dict[str, Any]:
    attributes = {f"imgforge.{name}": value for name, value in step.attributes.items()}
    if record.image is not None:
        if step.name == Stage.FETCH:
            attributes |= source_attributes(record.image.source)
        elif step.name == Stage.PROCESS:
            attributes |= option_attributes(record.image)
    return attributes


def _note_error(span: Span, record: RequestRecord, error: BaseException, at: float) -> None:
    """An event for *error*; for that of the request as imgproxy writes it. The stack has code only, no values."""
    # The text of an unexpected error may have any secret in it.
    message = error.logged if isinstance(error, ImgforgeError) else "internal error"
    attributes = {"exception.type": type(error).__name__, "exception.message": message}
    if error is record.failure:  # an error of a step has no stack
        attributes["exception.type"] = f"{error_type(record) or 'unexpected'}_error ({type(error).__name__})"
        attributes["exception.stacktrace"] = "".join(traceback.format_tb(error.__traceback__))[-_LONGEST_STACK:]
    span.add_event("exception", attributes, timestamp=nanoseconds(at))
    span.set_status(Status(StatusCode.ERROR, message))


class _Headers(Getter[Callable[[bytes], bytes]]):
    """Reads the headers of a request by the function that gives one by its name."""

    def get(self, carrier: Callable[[bytes], bytes], key: str) -> list[str] | None:
        value = carrier(key.lower().encode("latin-1"))
        return [value.decode("latin-1")] if value else None

    def keys(self, carrier: Callable[[bytes], bytes]) -> list[str]:  # noqa: ARG002
        return []


class _Pairs(Setter[list[tuple[str, str]]]):
    """Writes headers as pairs with names in lower case."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        carrier.append((key.lower(), value))


_HEADERS = _Headers()
_PAIRS = _Pairs()
