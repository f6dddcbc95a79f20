"""A listener for /metrics alone (IMGFORGE_PROMETHEUS_BIND)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import NoResource, Resource
from twisted.web.server import Request, Site

from imgforge.config import Settings
from imgforge.errors import BadToken
from imgforge.web import BearerGate

__all__ = ["metrics_site"]


class _Metrics(Resource):
    isLeaf = True

    def __init__(self, gate: BearerGate, render: Callable[[], tuple[bytes, str]]) -> None:
        super().__init__()
        self._gate = gate
        self._render = render

    def render_GET(self, request: Request) -> bytes:
        try:
            self._gate.check(request.getHeader(b"authorization"))
        except BadToken as error:
            request.setResponseCode(error.status)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return error.message.encode() + b"\n"
        body, content_type = self._render()
        request.setHeader(b"Content-Type", content_type.encode("ascii"))
        return body


def metrics_site(reactor: Any, settings: Settings, render: Callable[[], tuple[bytes, str]]) -> Site:
    """A site with nothing but /metrics, under the same bearer token as everything else."""
    root = NoResource()
    root.putChild(b"metrics", _Metrics(BearerGate(settings.secret), render))
    return Site(root, reactor=reactor, timeout=settings.keep_alive_timeout or None)
