"""HTTP: the endpoints, the fast lane, and the response that an exception means."""

from imgforge.web.endpoints import (
    HealthEndpoint,
    ImageEndpoint,
    ImageServices,
    InfoEndpoint,
    MetricsEndpoint,
    PurgeEndpoint,
    PurgeGate,
    PurgeImageEndpoint,
    PurgeInfoEndpoint,
    landing_page,
    missing_endpoint,
    page_endpoint,
    plain_page,
)
from imgforge.web.fast_lane import FastLane, FastLaneSettings, hit_access
from imgforge.web.http import (
    Answer,
    AnswerSettings,
    BearerGate,
    ClientHints,
    ClientKey,
    Clients,
    Negotiation,
    Offer,
    Passthrough,
)
from imgforge.web.rate_limit import ClientRates, RateLimit, Rates
from imgforge.web.routes import Endpoint, Route
from imgforge.web.server import Server, ServerSettings
from imgforge.web.site import ConnectionLimits, ImageSite

__all__ = [
    "Answer",
    "AnswerSettings",
    "BearerGate",
    "ClientHints",
    "ClientKey",
    "ClientRates",
    "Clients",
    "ConnectionLimits",
    "Endpoint",
    "FastLane",
    "FastLaneSettings",
    "HealthEndpoint",
    "ImageEndpoint",
    "ImageServices",
    "ImageSite",
    "InfoEndpoint",
    "MetricsEndpoint",
    "Negotiation",
    "Offer",
    "Passthrough",
    "PurgeEndpoint",
    "PurgeGate",
    "PurgeImageEndpoint",
    "PurgeInfoEndpoint",
    "RateLimit",
    "Rates",
    "Route",
    "Server",
    "ServerSettings",
    "hit_access",
    "landing_page",
    "missing_endpoint",
    "page_endpoint",
    "plain_page",
]
