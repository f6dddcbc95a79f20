"""The client of an explanation: a request that nobody sends, with its headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.web import http

__all__ = ["client_request"]


class _NoConnection(http.HTTPChannel):
    """A channel without a connection."""

    def getPeer(self) -> IAddress:
        """This machine."""
        return IPv4Address("TCP", "127.0.0.1", 0)

    getHost = getPeer


def client_request(headers: Mapping[str, str]) -> Any:
    """A request with *headers*, for the parts of the server that read them."""
    request = http.Request(_NoConnection(), False)
    for name, value in headers.items():
        request.requestHeaders.addRawHeader(name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
    request.parseCookies()
    return request
