"""/metrics is put together on a thread, from what was counted by then."""

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


class Watched(Metrics):
    """Remembers the thread that it was rendered on."""

    thread: threading.Thread | None = None

    def flushed(self) -> tuple[bytes, str]:
        self.thread = threading.current_thread()
        return super().flushed()


class MetricsEndpointTests(TestCase):
    def setUp(self) -> None:
        self.metrics = Watched()
        self.request: Any = DummyRequest([b"metrics"])

    async def test_the_reactor_goes_on_meanwhile(self) -> None:
        endpoint = MetricsEndpoint(reactor, BearerGate(""), self.metrics, lambda: self.metrics.cache_hit("memory"))
        self.metrics.answered("GET", "/", 200, 0.1)
        answer = await endpoint(self.request)
        self.assertIn(b'status_codes_total{status="200"} 1.0\n', answer.body)
        self.assertIn(b'cache_hits_total{cache_type="memory"} 1.0\n', answer.body)
        self.assertNotIn(self.metrics.thread, {None, threading.main_thread()})

    async def test_nothing_is_put_together_for_strangers(self) -> None:
        with self.assertRaises(BadToken):
            await MetricsEndpoint(reactor, BearerGate("s"), self.metrics, lambda: None)(self.request)
        self.assertIsNone(self.metrics.thread)
