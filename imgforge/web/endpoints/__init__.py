"""The endpoints: images, /info, /status, /metrics, purges, and the landing page."""

from imgforge.web.endpoints.image_services import ImageServices
from imgforge.web.endpoints.images import ImageEndpoint
from imgforge.web.endpoints.info import InfoEndpoint
from imgforge.web.endpoints.landing import landing_page, plain_page
from imgforge.web.endpoints.monitoring import HealthEndpoint, MetricsEndpoint, missing_endpoint, page_endpoint
from imgforge.web.endpoints.purge import PurgeEndpoint, PurgeGate, PurgeImageEndpoint, PurgeInfoEndpoint

__all__ = [
    "HealthEndpoint",
    "ImageEndpoint",
    "ImageServices",
    "InfoEndpoint",
    "MetricsEndpoint",
    "PurgeEndpoint",
    "PurgeGate",
    "PurgeImageEndpoint",
    "PurgeInfoEndpoint",
    "landing_page",
    "missing_endpoint",
    "page_endpoint",
    "plain_page",
]
