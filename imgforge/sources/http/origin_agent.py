"""The agent below treq: it sends the bytes of a wire URL, whatever treq made of it, and leaves treq nothing to inflate.

treq parses and rewrites URLs, copies headers, keeps cookies, and inflates bodies without bound. So it gets any URL, no
headers, a jar that keeps nothing, and responses that are inflated already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.cookiejar import Cookie, CookieJar
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.sources.http.connection_pool import ConnectionPool
from imgforge.sources.http.encoding import inflated
from imgforge.sources.http.origin_request import OriginRequest
from imgforge.sources.http.request_headers import wire_headers, wire_name
from imgforge.sources.http.wire_url import split_wire_url

__all__ = ["NoCookies", "OriginAgent"]

# The connection's own, or the agent's.
_NOT_SENT = tuple(
    wire_name(name)
    for name in ("accept-encoding", "connection", "content-length", "keep-alive", "te", "transfer-encoding", "upgrade")
)
_IDENTITY = (b"Accept-Encoding", b"identity")


class NoCookies(CookieJar):
    """A cookie jar that keeps nothing and sends nothing."""

    def __iter__(self) -> Iterator[Cookie]:
        """No cookies."""
        return iter(())

    def add_cookie_header(self, request: Any) -> None:
        """Add no cookie."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep no cookie."""


@implementer(IAgent)
class OriginAgent:
    """Sends *wired* over a connection of *pool*, whatever the arguments of `request`.

    *headers* (names as Twisted writes them) are sent where *wired* has no header of the name.
    """

    def __init__(self, pool: ConnectionPool, wired: OriginRequest, headers: Mapping[bytes, bytes]) -> None:
        self._pool = pool
        self._wired = wired
        self._headers = headers

    def request(
        self,
        method: bytes,  # noqa: ARG002
        uri: bytes,  # noqa: ARG002
        headers: Headers | None = None,  # noqa: ARG002
        bodyProducer: IBodyProducer | None = None,  # noqa: ARG002
    ) -> Deferred[IResponse]:
        """See `IAgent`; `ValueError` where the URL is no wire URL, or a header's name is malformed."""
        wired = self._wired
        origin, target = split_wire_url(wired.url)
        sent = {**self._headers, **wire_headers(wired.headers)}
        for name in _NOT_SENT:
            sent.pop(name, None)
        authority = sent.pop(b"Host", None) or origin.authority
        fields = [*sent.items(), _IDENTITY]
        answering = self._pool.send(
            origin, authority, target, fields, wired.body, wired.method.encode(), wired.new_connection
        )
        return answering.addCallback(inflated)
