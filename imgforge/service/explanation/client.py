"""The client of an explanation: a request that nobody sends, and what of its headers an origin would get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.web import http

from imgforge.config import Settings
from imgforge.model import parse_http_url
from imgforge.service.telemetry import propagated_names
from imgforge.service.translation import passthrough

__all__ = ["client_request", "headers_for_origin"]


class _NoConnection(http.HTTPChannel):
    """A channel without a connection."""

    def getPeer(self) -> IAddress:
        """This machine."""
        return IPv4Address("TCP", "127.0.0.1", 0)

    getHost = getPeer


def client_request(url: str, headers: Mapping[str, str]) -> Any:
    """A request for *url* with *headers*, for the parts of the server that read them; its Host is that of the URL."""
    request = http.Request(_NoConnection(), False)
    for name, value in {"host": _host(url), **{name.lower(): value for name, value in headers.items()}}.items():
        request.requestHeaders.addRawHeader(name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
    request.parseCookies()
    return request


def headers_for_origin(settings: Settings, client: Any, source: str) -> dict[str, str]:
    """The headers of *client* that the server sends to the origin of *source*, by name in lower case.

    A trace is handed on as it is: the server would put a step of its own between.
    """
    names = propagated_names(settings)
    traced = {name: client.getHeader(name) or "" for name in names}
    passed, _ = passthrough(settings).of(client, source)
    return {name: value for name, value in traced.items() if value} | dict(passed)


def _host(url: str) -> str:
    """The host and port of *url*; empty for a path."""
    try:
        parts = parse_http_url(url.strip())
    except ValueError:
        return ""
    return parts.authority if parts is not None else ""
