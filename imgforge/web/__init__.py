"""HTTP: the endpoints, the headers, and what an exception means to a client."""

from imgforge.web._access import BearerGate
from imgforge.web._answer import Answer, AnswerSettings
from imgforge.web._client import ClientKey
from imgforge.web._demo import demo_page, plain_page
from imgforge.web._endpoints import HealthEndpoint, ImageEndpoint, InfoEndpoint, MetricsEndpoint, page_endpoint
from imgforge.web._lane import FastLane, hit_access
from imgforge.web._negotiation import Negotiation
from imgforge.web._purge import PurgeEndpoint, PurgeGate, PurgeImageEndpoint
from imgforge.web._rate import RateLimit
from imgforge.web._server import Route, Server
from imgforge.web._site import ImageSite

__all__ = [
    "Answer",
    "AnswerSettings",
    "BearerGate",
    "ClientKey",
    "FastLane",
    "HealthEndpoint",
    "ImageEndpoint",
    "ImageSite",
    "InfoEndpoint",
    "MetricsEndpoint",
    "Negotiation",
    "PurgeEndpoint",
    "PurgeGate",
    "PurgeImageEndpoint",
    "RateLimit",
    "Route",
    "Server",
    "demo_page",
    "hit_access",
    "page_endpoint",
    "plain_page",
]
