"""Spans of requests and of a queue's jobs: views of their records.

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
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
)
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from twisted.internet.defer import CancelledError
from zope.interface import implementer

from imgforge.errors import ImgforgeError
from imgforge.observability import IRequestObserver, RequestRecord, Stage, Step, error_type
from imgforge.service.telemetry.otel.span_attributes import (
    image_attributes,
    job_attributes,
    option_attributes,
    request_attributes,
    source_attributes,
)
from imgforge.service.work_routes import WORK_ROUTES

__all__ = ["SPAN_NAMES", "RequestTracer", "nanoseconds"]

# The route whose requests have jobs queued: the traces of these name that of the request.
_QUEUEING = "/render"
_TRACEPARENT = "traceparent"

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
        began = nanoseconds(record.began)
        context = Context()
        if record.job is not None:
            links = _links(record.job.traceparent)
            span = self._tracer.start_span("prerender", context, SpanKind.CONSUMER, None, links, began)
        elif record.route in WORK_ROUTES:  # as in imgproxy: no health checks, no metrics
            context, attributes = self._context_in(header), request_attributes(record)
            span = self._tracer.start_span("/request", context, SpanKind.SERVER, attributes, start_time=began)
        else:
            if self._propagates and record.route == _QUEUEING:
                record.propagated = _traceparent(self._context_in(header))
            return
        record.trace = span
        if self._propagates:
            carrier: list[tuple[str, str]] = []
            self._propagator.inject(carrier, set_span_in_context(span, context), _PAIRS)
            record.propagated = tuple(carrier)
        if span.is_recording():
            record.trace_id = format_trace_id(span.get_span_context().trace_id)

    def _context_in(self, header: Callable[[bytes], bytes]) -> Context:
        """The context that a request's headers carry."""
        context = Context()
        return self._propagator.extract(header, context, _HEADERS) if any(map(header, self._fields)) else context

    def ended(self, record: RequestRecord) -> None:
        """See `IRequestObserver`."""
        span: Any = record.trace
        if span is None or not span.is_recording():
            return
        span.set_attributes(image_attributes(record) if record.job is None else job_attributes(record))
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


def _traceparent(context: Context) -> tuple[tuple[str, str], ...]:
    """The trace in *context* in the one form in which queues have it, whatever the propagators are; () for none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return tuple((name, value) for name, value in carrier.items() if name == _TRACEPARENT)


def _links(traceparent: str) -> list[Link]:
    """The link to *traceparent*: the job may run much later, and is one of many, so that its trace is its own."""
    found = get_current_span(_W3C.extract({_TRACEPARENT: traceparent}, Context())).get_span_context()
    return [Link(found)] if found.is_valid else []


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


_W3C = TraceContextTextMapPropagator()
_HEADERS = _Headers()
_PAIRS = _Pairs()
