"""HTTP: the endpoints, the headers, and what an exception means to a client."""

from imgforge.web._access import BearerGate
from imgforge.web._answer import Answer, AnswerSettings
from imgforge.web._client import ClientKey
from imgforge.web._demo import DemoEndpoint, plain_page
from imgforge.web._endpoints import ImageEndpoint, InfoEndpoint
from imgforge.web._hints import ClientHints
from imgforge.web._landing import landing_page
from imgforge.web._lane import FastLane, hit_access
from imgforge.web._monitoring import HealthEndpoint, MetricsEndpoint, missing_endpoint, page_endpoint
from imgforge.web._negotiation import Negotiation
from imgforge.web._network import Clients
from imgforge.web._passthrough import Passthrough
from imgforge.web._purge import PurgeEndpoint, PurgeGate, PurgeImageEndpoint
from imgforge.web._rate import ClientRates, RateLimit, Rates
from imgforge.web._routes import Endpoint, Route
from imgforge.web._server import Server
from imgforge.web._site import ImageSite

__all__ = [
    "Answer",
    "AnswerSettings",
    "BearerGate",
    "ClientHints",
    "ClientKey",
    "ClientRates",
    "Clients",
    "DemoEndpoint",
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
