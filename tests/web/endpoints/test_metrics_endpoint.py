"""/metrics is rendered on a thread, after all counts are flushed."""

from __future__ import annotations

import threading
from typing import Any, cast

from twisted.internet import reactor as running
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase
from twisted.web.test.requesthelper import DummyRequest

from imgforge.errors import BadToken
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics, RequestRecord
from imgforge.web import BearerGate, MetricsEndpoint

reactor = cast("IServerReactor", running)


class RecordingMetrics(Metrics):
    """Keeps the thread that rendered it, and how often; it does not end while `busy` is not set."""

    thread: threading.Thread | None = None
    rendered = 0

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Event()
        self.busy.set()

    def flushed(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        self.thread = threading.current_thread()
        self.rendered += 1
        self.busy.wait(30)
        return super().flushed(openmetrics=openmetrics)


class MetricsEndpointTests(TestCase):
    def setUp(self) -> None:
        self.metrics = RecordingMetrics()
        self.request: Any = DummyRequest([b"metrics"])

    async def test_metrics_are_rendered_on_a_thread(self) -> None:
        endpoint = MetricsEndpoint(reactor, BearerGate(""), self.metrics, lambda: self.metrics.cache_hit("memory"))
        self.metrics.answered("GET", "/", 200, 0.1)
        answer = await endpoint(self.request)
        self.assertIn(b'status_codes_total{status="200"} 1.0\n', answer.body)
        self.assertIn(b'cache_hits_total{cache_type="memory"} 1.0\n', answer.body)
        self.assertNotIn(self.metrics.thread, {None, threading.main_thread()})

    async def test_openmetrics_is_sent_where_it_is_accepted(self) -> None:
        endpoint = MetricsEndpoint(reactor, BearerGate(""), self.metrics, lambda: None)
        self.metrics.answered("GET", "/", 200, 0.1)
        record = RequestRecord(method="GET", route="/", ended=0.1, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
        self.metrics.traced(record)
        for accept, sent in (
            (b"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", True),
            (b"application/openmetrics-text;q=0,text/plain", False),
            (b"text/plain;version=0.0.4", False),
            (b"*/*", False),
        ):
            self.request.requestHeaders.setRawHeaders(b"accept", [accept])
            answer = await endpoint(self.request)
            self.assertEqual(b'# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.1 ' in answer.body, sent, accept)
            self.assertEqual(answer.body.endswith(b"# EOF\n"), sent, accept)
            start = b"application/openmetrics-text; version=1.0.0" if sent else b"text/plain"
            self.assertTrue(dict(answer.headers)[b"Content-Type"].startswith(start), accept)
            self.assertEqual(dict(answer.headers)[b"Vary"], b"Accept")

    async def test_requests_share_the_exposition_under_way_even_if_the_first_leaves(self) -> None:
        refreshed: list[int] = []
        endpoint = MetricsEndpoint(reactor, BearerGate(""), self.metrics, lambda: refreshed.append(1))
        self.metrics.busy.clear()
        first, second = (Deferred.fromCoroutine(endpoint(self.request)) for _ in range(2))
        for left in (first, second):
            left.addErrback(lambda failure: failure.trap(CancelledError) and None)
            left.cancel()
        third, fourth = (Deferred.fromCoroutine(endpoint(self.request)) for _ in range(2))
        self.metrics.busy.set()
        self.assertEqual(await third, await fourth)
        self.assertEqual((self.metrics.rendered, len(refreshed)), (1, 1))
        await endpoint(self.request)
        self.assertEqual((self.metrics.rendered, len(refreshed)), (2, 2))

    async def test_nothing_is_rendered_without_the_token(self) -> None:
        with self.assertRaises(BadToken):
            await MetricsEndpoint(reactor, BearerGate("s"), self.metrics, lambda: None)(self.request)
        self.assertIsNone(self.metrics.thread)
