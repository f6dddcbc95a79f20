"""An http or https URL in parts, which are as they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["HttpUrl", "parse_http_url"]

_FORM = re.compile(r"(https?)://(?:[^/?#]*@)?([^/?#@]*)([^#]*)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """A URL without user, password and fragment."""

    scheme: str  # http or https
    host: str  # in lower case, without brackets
    port: int
    authority: str  # host and port, as in a Host header
    target: str  # path and query, as in the line of a request

    @property
    def path(self) -> str:
        """The path, at least a slash."""
        return self.target.partition("?")[0]


def parse_http_url(text: str) -> HttpUrl | None:
    """The parts of *text*, None unless it begins as a URL does; `ValueError` where its host or port is malformed."""
    match = _FORM.match(text)
    if match is None:
        return None
    scheme, rest = match[1].lower(), match[3]
    parts = urlsplit(f"//{match[2]}")
    if not parts.hostname:
        raise ValueError("it has no host")
    target = rest if rest.startswith("/") else f"/{rest}"
    return HttpUrl(scheme, parts.hostname, parts.port or _PORTS[scheme], parts.netloc, target)
