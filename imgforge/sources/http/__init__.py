"""Originals over HTTP and HTTPS: connections, redirects, deadlines, bodies and their content encodings."""

from imgforge.sources.http.endpoints import read_authorities
from imgforge.sources.http.http_source import HttpSource

__all__ = ["HttpSource", "read_authorities"]
