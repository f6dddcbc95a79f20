"""The separate listener for /metrics (IMGFORGE_PROMETHEUS_BIND)."""

from __future__ import annotations

import sys

from imgforge.config import Settings
from imgforge.interfaces import IServerReactor
from imgforge.observability import AccessLog, Metrics
from imgforge.service.translation import answer_headers, connection_limits
from imgforge.web import (
    BearerGate,
    ImageSite,
    MetricsEndpoint,
    Route,
    Server,
    ServerSettings,
    missing_endpoint,
)

__all__ = ["metrics_site"]

_MOST_CLIENTS = 64


def metrics_site(reactor: IServerReactor, settings: Settings, metrics: Metrics) -> ImageSite:
    """A site with /metrics only, under the same bearer token and time limits as the others."""
    routes = [
        Route(b"/metrics", "/metrics", MetricsEndpoint(reactor, BearerGate(settings.secret), metrics, lambda: None)),
        Route(b"", "other", missing_endpoint("this listener has /metrics only"), prefix=True),
    ]
    chosen = ServerSettings(headers=answer_headers(settings))
    server = Server(reactor, routes, metrics, AccessLog(sys.stdout, "off"), chosen)
    return ImageSite(server, reactor, connection_limits(settings, _MOST_CLIENTS))
