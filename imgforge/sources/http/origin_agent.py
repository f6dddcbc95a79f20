"""The agent below treq: it sends the bytes of a wire URL, whatever treq made of it, and leaves treq nothing to inflate.

treq parses and rewrites URLs, keeps cookies, and inflates bodies without bound. So it gets any URL, a jar that keeps
nothing, and responses that are inflated already.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from imgforge.sources.http.encoding import inflated
from imgforge.sources.http.origin_request import OriginRequest

__all__ = ["NoCookies", "OriginAgent"]


class NoCookies(CookieJar):
    """A cookie jar that keeps nothing and sends nothing."""

    def add_cookie_header(self, request: Any) -> None:
        """Add no cookie."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep no cookie."""


@implementer(IAgent)
class OriginAgent:
    """Sends *request*, once: the URL that `request` gets is ignored, and so are its body and its method."""

    def __init__(self, agent: Agent, request: OriginRequest) -> None:
        self._agent = agent
        self._request = request

    def request(
        self,
        method: bytes,  # noqa: ARG002
        uri: bytes,  # noqa: ARG002
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: ARG002
    ) -> Deferred[IResponse]:
        """See `IAgent`."""
        sent = Headers() if headers is None else headers.copy()
        sent.setRawHeaders(b"Accept-Encoding", [b"identity"])
        answering: Deferred[IResponse] = self._agent.request(b"GET", self._request.url.encode("ascii"), sent)
        return answering.addCallback(inflated)
