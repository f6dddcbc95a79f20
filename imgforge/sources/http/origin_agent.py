"""The agent below treq: it sends the bytes of a wire URL, whatever treq made of it, and leaves treq nothing to inflate.

treq parses and rewrites URLs, keeps cookies, and inflates bodies without bound. So it gets any URL, a jar that keeps
nothing, and responses that are inflated already.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.sources.http.connection_pool import ConnectionPool
from imgforge.sources.http.encoding import inflated
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.http.wire_url import split_wire_url

__all__ = ["NoCookies", "OriginAgent"]

# The connection's own, or the agent's.
_NOT_SENT = frozenset(
    {b"accept-encoding", b"connection", b"content-length", b"host", b"keep-alive", b"te", b"transfer-encoding",
     b"upgrade"}
)  # fmt: skip
_IDENTITY = (b"Accept-Encoding", b"identity")


class NoCookies(CookieJar):
    """A cookie jar that keeps nothing and sends nothing."""

    def add_cookie_header(self, request: Any) -> None:
        """Add no cookie."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep no cookie."""


@implementer(IAgent)
class OriginAgent:
    """Sends *wired* over a connection of *pool*, with the headers that `request` gets; ignores its other arguments."""

    def __init__(self, pool: ConnectionPool, wired: OriginRequest) -> None:
        self._pool = pool
        self._wired = wired

    def request(
        self,
        method: bytes,  # noqa: ARG002
        uri: bytes,  # noqa: ARG002
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: ARG002
    ) -> Deferred[IResponse]:
        """See `IAgent`; `ValueError` where the URL is no wire URL."""
        origin, target = split_wire_url(self._wired.url)
        given = headers or Headers()
        host = given.getRawHeaders(b"host")
        sent = [
            (name, value)
            for name, values in given.getAllRawHeaders()
            if name.lower() not in _NOT_SENT
            for value in values
        ]
        sent.append(_IDENTITY)
        authority = host[0] if host else origin.authority
        answering = Deferred.fromCoroutine(
            self._pool.send(origin, authority, target, sent, self._wired.body, self._wired.new_connection)
        )
        return answering.addCallback(inflated)
