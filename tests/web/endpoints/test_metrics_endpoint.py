"""/metrics is rendered on a thread, after all counts are flushed."""

from __future__ import annotations

import threading
from typing import Any, cast

from twisted.internet import reactor as running
from twisted.trial.unittest import TestCase
from twisted.web.test.requesthelper import DummyRequest

from imgforge.errors import BadToken
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.web import BearerGate, MetricsEndpoint

reactor = cast("IServerReactor", running)


class RecordingMetrics(Metrics):
    """Keeps the thread that rendered it."""

    thread: threading.Thread | None = None

    def flushed(self) -> tuple[bytes, str]:
        self.thread = threading.current_thread()
        return super().flushed()


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

    async def test_nothing_is_rendered_without_the_token(self) -> None:
        with self.assertRaises(BadToken):
            await MetricsEndpoint(reactor, BearerGate("s"), self.metrics, lambda: None)(self.request)
        self.assertIsNone(self.metrics.thread)
