"""Whom the playground's own endpoints answer: its page, loaded from this machine, and nobody else.

A page of the web cannot reach them by the user's browser: not under a host name of its own that it has resolve to this
machine (the Host header tells), not from another origin (the Origin header, and a media type for which browsers ask
first). Other users of the machine lack the token, which only the address that the command prints has.
"""

from __future__ import annotations

from twisted.web.server import Request

from imgforge.errors import BadRequest, ClientRefused
from imgforge.web import BearerGate, names_this_machine

__all__ = ["PlaygroundGate"]

_SAME_ORIGIN = {None, b"same-origin", b"none"}


class PlaygroundGate:
    """Admits requests of the page; with a *token*, only those that carry it as a bearer."""

    def __init__(self, token: str = "") -> None:
        self._bearer = BearerGate(token)

    def check_host(self, request: Request) -> None:
        """Raises `ClientRefused` unless the Host header names this machine."""
        if not names_this_machine(request.getHeader(b"host") or b""):
            raise ClientRefused("the playground answers only to localhost and 127.0.0.1")

    def check(self, request: Request) -> None:
        """Raises `ClientRefused`, `BadRequest` or `BadToken` unless the page has sent *request*."""
        self.check_host(request)
        origin, host = request.getHeader(b"origin"), request.getHeader(b"host") or b""
        if origin is not None and origin != b"http://" + host:
            raise ClientRefused("the playground answers its own page only, not other origins")
        if request.getHeader(b"sec-fetch-site") not in _SAME_ORIGIN:
            raise ClientRefused("the playground answers its own page only, not other sites")
        if (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower() != b"application/json":
            raise BadRequest("the body must be JSON, and Content-Type must say so")
        self._bearer.check(request.getHeader(b"authorization"))
