"""The endpoints: images, /info, /status, /metrics, purges, pre-rendering, and the landing page."""

from imgforge.web.endpoints.image_services import ImageServices
from imgforge.web.endpoints.images import ImageEndpoint, cache_status
from imgforge.web.endpoints.info import InfoEndpoint
from imgforge.web.endpoints.landing import landing_page, plain_page
from imgforge.web.endpoints.monitoring import HealthEndpoint, MetricsEndpoint, missing_endpoint, page_endpoint
from imgforge.web.endpoints.prerendering import (
    EventsEndpoint,
    RenderEndpoint,
    RenderGate,
    RenderStatusEndpoint,
    prerendering_off,
)
from imgforge.web.endpoints.purge import PurgeEndpoint, PurgeGate, PurgePathEndpoint

__all__ = [
    "EventsEndpoint",
    "HealthEndpoint",
    "ImageEndpoint",
    "ImageServices",
    "InfoEndpoint",
    "MetricsEndpoint",
    "PurgeEndpoint",
    "PurgeGate",
    "PurgePathEndpoint",
    "RenderEndpoint",
    "RenderGate",
    "RenderStatusEndpoint",
    "cache_status",
    "landing_page",
    "missing_endpoint",
    "page_endpoint",
    "plain_page",
    "prerendering_off",
]
