"""How many hits are sampled."""

from __future__ import annotations

from itertools import islice

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from twisted.trial.unittest import SynchronousTestCase

from imgforge.observability import RequestRecord
from imgforge.service.telemetry.otel.hit_spans import HitSpans, gaps
from imgforge.web import Hit
from imgforge.web.fast_lane.hits import LoggedTarget


class GapTests(SynchronousTestCase):
    def test_their_mean_is_that_of_the_ratio(self) -> None:
        for ratio in (0.5, 0.1, 0.01):
            drawn = list(islice(gaps(ratio), 20_000))
            self.assertGreaterEqual(min(drawn), 1)
            # The deviation of the mean is less than 1 / (ratio * 141): six of it are never seen.
            self.assertLess(abs(sum(drawn) / len(drawn) * ratio - 1), 6 / 141)

    def test_ends_of_the_scale(self) -> None:
        self.assertEqual(set(islice(gaps(1), 100)), {1})
        self.assertGreater(min(islice(gaps(0), 100)), 1 << 60)


class Counted(SpanProcessor):
    """Counts the spans that end."""

    count = 0

    def on_end(self, span: object) -> None:
        self.count += 1


class HitSpansTests(SynchronousTestCase):
    def spans(self, sampler: Sampler, *, asks: bool) -> int:
        """How many of three hits in a second get a span."""
        provider = TracerProvider(sampler, Resource({}), False, SynchronousMultiSpanProcessor())
        counted = Counted()
        self.traced: list[RequestRecord] = []
        spans = HitSpans(provider, counted, self.traced.append, asks=asks)
        target = LoggedTarget(b"/unsafe/plain/http://o/a.png", b"hit", "http://o/a.png", "png")
        for _ in range(3):
            spans.note(Hit(1.0, "::1", "GET", target, 200, 9, 0.001, b"id", {}), "https")
        self.assertEqual(
            [(one.method, one.route, one.duration) for one in self.traced], counted.count * [("GET", "/{*path}", 0.001)]
        )
        return counted.count

    def test_a_sampler_whose_ratio_is_not_known_is_asked(self) -> None:
        self.assertEqual(self.spans(ALWAYS_OFF, asks=True), 0)
        self.assertEqual(self.spans(ALWAYS_ON, asks=True), 3)
        self.assertEqual(self.spans(ALWAYS_OFF, asks=False), 3)  # the ratio has decided already
