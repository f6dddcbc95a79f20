"""Spans of the fast lane's hits: of as many as the sampler's ratio says, each of one span.

The SDK's tracer takes ten times as long for a span as a hit takes, most of it for the sampler and for a span that can
still change; what is made here is over already. How many hits follow until the next sampled one is drawn beforehand.
Encoding and sending a span takes twice as long as the hit all the same, so that no more than a hundred of a second get
one: a server whose sampler takes all requests, as it does by default, must not lose most of its hits to that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, format_trace_id

from imgforge import __version__
from imgforge.observability import RequestRecord
from imgforge.service.telemetry.otel.span_attributes import hit_attributes
from imgforge.service.work_routes import IMAGES
from imgforge.web import Hit

__all__ = ["HitSpans", "gaps"]

_NEVER = 1 << 62
_MOST = 100  # spans of hits, a second
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def gaps(ratio: float) -> Iterator[int]:
    """How many hits it takes to the next sampled one, again and again: geometrically distributed."""
    if ratio <= 0:
        while True:
            yield _NEVER
    while ratio >= 1:
        yield 1
    rest = math.log1p(-ratio)
    while True:
        yield min(_NEVER, 1 + int(math.log(1.0 - random.random()) / rest))  # noqa: S311  no secret


class HitSpans:
    """Makes spans of hits, with the ids and the resource of *provider*, for *processor*.

    *traced* gets a record of each hit with a span, for exemplars: route, method, duration and trace are known. Where
    *asks*, the provider's sampler is asked about each: its ratio was not known beforehand.
    """

    def __init__(
        self,
        provider: TracerProvider,
        processor: SpanProcessor,
        traced: Callable[[RequestRecord], None],
        *,
        asks: bool = False,
    ) -> None:
        self._provider = provider
        self._traced = traced
        self._asks = asks
        self._processor = processor
        self._scope = InstrumentationScope("imgforge", __version__)
        self._second = 0
        self._left = _MOST

    def note(self, hit: Hit, scheme: str) -> None:
        """Make the span of *hit*, whose URL has *scheme*, unless this second has had its share."""
        second = int(hit.at)
        if second != self._second:
            self._second, self._left = second, _MOST
        if not self._left:
            return
        self._left -= 1
        ids, target = self._provider.id_generator, hit.target
        began = int(hit.at * 1e9)
        attributes = {
            **hit_attributes(target.target, target.source, target.format, target.cache_status),
            "http.method": hit.method,
            "http.scheme": scheme,
            "http.status_code": hit.status,
            "imgforge.request_id": hit.request_id.decode("ascii"),
        }
        trace = ids.generate_trace_id()
        if self._asks:
            answer = self._provider.sampler.should_sample(None, trace, "/request", SpanKind.SERVER, attributes)
            if not answer.decision.is_sampled():
                return
        span = ReadableSpan(
            "/request",
            SpanContext(trace, ids.generate_span_id(), is_remote=False, trace_flags=_SAMPLED),
            resource=self._provider.resource,
            attributes=attributes,
            kind=SpanKind.SERVER,
            instrumentation_scope=self._scope,
            start_time=began,
            end_time=began + int(hit.seconds * 1e9),
        )
        self._processor.on_end(span)
        self._traced(RequestRecord(method=hit.method, route=IMAGES, ended=hit.seconds, trace_id=format_trace_id(trace)))
