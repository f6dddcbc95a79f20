"""Originals over HTTP and HTTPS: connections, redirects, deadlines, bodies and their content encodings."""

from imgforge.sources.http.endpoints import read_authorities
from imgforge.sources.http.http_source import HttpSource
from imgforge.sources.http.origin_request import IOriginKind, OriginRequest, Refusal

__all__ = ["HttpSource", "IOriginKind", "OriginRequest", "Refusal", "read_authorities"]
