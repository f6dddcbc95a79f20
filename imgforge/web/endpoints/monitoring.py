"""The endpoints /status and /health, /metrics, and those that answer the same each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.web.server import Request

from imgforge.errors import NotFound
from imgforge.observability import Metrics
from imgforge.web.http.negotiation import accepted_types
from imgforge.web.http.request_headers import BearerGate, joined_header
from imgforge.web.http.response import Answer
from imgforge.web.routes import Endpoint

__all__ = ["HealthEndpoint", "MetricsEndpoint", "missing_endpoint", "page_endpoint"]

_DRAINING = b"imgforge is shutting down\n"


class HealthEndpoint:
    """`/status` and `/health`: open to all, and answered whatever else is under way."""

    def __init__(self, message: str = "imgforge is running") -> None:
        self.draining = False
        self._running = message.encode("utf-8", "replace") + b"\n"

    async def __call__(self, request: Request) -> Answer:
        """200 while the server takes work, 503 while it drains; as the Rust imgforge's JSON where that is accepted."""
        status, text, word = (503, _DRAINING, "shutting down") if self.draining else (200, self._running, "ok")
        accept = joined_header(request, b"accept").decode("latin-1")
        media_type = b"text/plain; charset=utf-8"
        if "application/json" in accepted_types(accept):
            media_type, text = b"application/json", json.dumps({"status": word}).encode("ascii") + b"\n"
        headers = [(b"Content-Type", media_type), (b"Cache-Control", b"no-store"), (b"Vary", b"Accept")]
        return Answer(status, headers, text)


class MetricsEndpoint:
    """`/metrics`: the sum over all worker processes, in Prometheus' text format."""

    def __init__(self, reactor: Any, gate: BearerGate, metrics: Metrics, refresh: Callable[[], None]) -> None:
        self._reactor = reactor
        self._gate = gate
        self._metrics = metrics
        self._refresh = refresh

    async def __call__(self, request: Request) -> Answer:
        """*refresh* is called first, to bring gauges up to date that nobody pushes."""
        self._gate.check(request.getHeader(b"authorization"))
        self._refresh()
        self._metrics.flush()
        body, content_type = await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._metrics.flushed
        )
        return Answer(200, [(b"Content-Type", content_type.encode("ascii")), (b"Cache-Control", b"no-store")], body)


def page_endpoint(page: Answer) -> Endpoint:
    """An endpoint that always answers the same."""

    async def endpoint(_: Request) -> Answer:
        return page

    return endpoint


def missing_endpoint(message: str) -> Endpoint:
    """An endpoint at which there is nothing: 404 with that *message*."""

    async def endpoint(_: Request) -> Answer:
        raise NotFound(message)

    return endpoint
