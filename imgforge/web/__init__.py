"""HTTP: the endpoints, the headers, and what an exception means to a client."""

from imgforge.web.endpoints.images import ImageEndpoint, InfoEndpoint
from imgforge.web.endpoints.landing import landing_page, plain_page
from imgforge.web.endpoints.monitoring import HealthEndpoint, MetricsEndpoint, missing_endpoint, page_endpoint
from imgforge.web.endpoints.purge import PurgeEndpoint, PurgeGate, PurgeImageEndpoint
from imgforge.web.fast_lane.lane import FastLane, hit_access
from imgforge.web.http.client_hints import ClientHints
from imgforge.web.http.forwarded import Clients
from imgforge.web.http.key_headers import ClientKey
from imgforge.web.http.negotiation import Negotiation
from imgforge.web.http.passthrough import Passthrough
from imgforge.web.http.request_headers import BearerGate
from imgforge.web.http.response import Answer, AnswerSettings
from imgforge.web.rate_limit import ClientRates, RateLimit, Rates
from imgforge.web.routes import Endpoint, Route
from imgforge.web.server import Server
from imgforge.web.site import ImageSite

__all__ = [
    "Answer",
    "AnswerSettings",
    "BearerGate",
    "ClientHints",
    "ClientKey",
    "ClientRates",
    "Clients",
    "Endpoint",
    "FastLane",
    "HealthEndpoint",
    "ImageEndpoint",
    "ImageSite",
    "InfoEndpoint",
    "MetricsEndpoint",
    "Negotiation",
    "Passthrough",
    "PurgeEndpoint",
    "PurgeGate",
    "PurgeImageEndpoint",
    "RateLimit",
    "Rates",
    "Route",
    "Server",
    "hit_access",
    "landing_page",
    "missing_endpoint",
    "page_endpoint",
    "plain_page",
]
