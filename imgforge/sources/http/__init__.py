"""Originals over HTTP and HTTPS: connections, redirects, deadlines, bodies and their content encodings."""

from imgforge.sources.http.deadline import Deadline
from imgforge.sources.http.endpoints import read_authorities
from imgforge.sources.http.http1_connection import Http1Connection
from imgforge.sources.http.http_source import HttpSource
from imgforge.sources.http.object_client import ObjectClient
from imgforge.sources.http.origin_connection import NotSent
from imgforge.sources.http.origin_request import IOriginKind, OriginRequest, Refusal
from imgforge.sources.http.proxies import PROXY_VARIABLES, Proxies
from imgforge.sources.http.service_client import ServiceClient, ServiceResponse
from imgforge.sources.http.tls_endpoint import TlsEndpoint
from imgforge.sources.http.wire_url import wire_url as to_wire_url

__all__ = [
    "PROXY_VARIABLES",
    "Deadline",
    "Http1Connection",
    "HttpSource",
    "IOriginKind",
    "NotSent",
    "ObjectClient",
    "OriginRequest",
    "Proxies",
    "Refusal",
    "ServiceClient",
    "ServiceResponse",
    "TlsEndpoint",
    "read_authorities",
    "to_wire_url",
]
