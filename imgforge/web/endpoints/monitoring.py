"""The endpoints /status, /health and /metrics, and endpoints with a constant response."""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge.concurrency import Coalescer
from imgforge.errors import NotFound
from imgforge.interfaces import IServerReactor
from imgforge.observability import Metrics
from imgforge.web.http import Answer, BearerGate, accepted_types, joined_header
from imgforge.web.routes import Endpoint

__all__ = ["HealthEndpoint", "MetricsEndpoint", "missing_endpoint", "page_endpoint"]

_OPENMETRICS = "application/openmetrics-text"
_VARY = b"Vary", b"Accept"
_DRAINING = b"imgforge is shutting down\n"


class HealthEndpoint:
    """`/status` and `/health`: open to all, and answered even if the server is overloaded."""

    def __init__(self, message: str = "imgforge is running") -> None:
        self.draining = False
        self._running = message.encode("utf-8", "replace") + b"\n"

    async def __call__(self, request: Request) -> Answer:
        """200 while the server runs, 503 while it drains; the Rust imgforge's JSON if the client accepts JSON."""
        status, text, state = (503, _DRAINING, "shutting down") if self.draining else (200, self._running, "ok")
        accept = joined_header(request, b"accept").decode("latin-1")
        media_type = b"text/plain; charset=utf-8"
        if "application/json" in accepted_types(accept):
            media_type, text = b"application/json", json.dumps({"status": state}).encode("ascii") + b"\n"
        headers = [(b"Content-Type", media_type), (b"Cache-Control", b"no-store"), _VARY]
        return Answer(status, headers, text)


class MetricsEndpoint:
    """`/metrics`: the sum over all worker processes, in Prometheus' format, or in OpenMetrics where it is accepted.

    Requests that come while an exposition is made share it: however many they are, there is one thread at work.
    """

    def __init__(
        self, reactor: IServerReactor, gate: BearerGate, metrics: Metrics, refresh: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._gate = gate
        self._metrics = metrics
        self._refresh = refresh
        self._expositions: Coalescer[bool, tuple[bytes, str]] = Coalescer()

    async def __call__(self, request: Request) -> Answer:
        """The exposition. Raises `BadToken`."""
        self._gate.check(request.getHeader(b"authorization"))
        openmetrics = _OPENMETRICS in accepted_types(joined_header(request, b"accept").decode("latin-1"))
        if openmetrics not in self._expositions:
            # A waiter that never leaves: the thread goes on when all clients have left, and no second one is begun.
            self._exposition(openmetrics).addErrback(lambda _: None)
        body, content_type = await self._exposition(openmetrics)
        headers = [(b"Content-Type", content_type.encode("ascii")), (b"Cache-Control", b"no-store"), _VARY]
        return Answer(200, headers, body)

    def _exposition(self, openmetrics: bool) -> Deferred[tuple[bytes, str]]:
        return self._expositions.do(openmetrics, lambda: Deferred.fromCoroutine(self._expose(openmetrics)))

    async def _expose(self, openmetrics: bool) -> tuple[bytes, str]:
        """Body and media type; *refresh* is called first, which updates the gauges."""
        self._refresh()
        self._metrics.flush()
        pool = self._reactor.getThreadPool()
        return await deferToThreadPool(self._reactor, pool, self._metrics.flushed, openmetrics=openmetrics)


def page_endpoint(page: Answer) -> Endpoint:
    """An endpoint that always answers with *page*."""

    async def endpoint(_: Request) -> Answer:
        return page

    return endpoint


def missing_endpoint(message: str) -> Endpoint:
    """An endpoint that always answers with 404 and *message*."""

    async def endpoint(_: Request) -> Answer:
        raise NotFound(message)

    return endpoint
