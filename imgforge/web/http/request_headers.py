"""Request headers that are not specific to images: bearer token, request id, host."""

from __future__ import annotations

import hmac
import re
from random import getrandbits

from twisted.web.server import Request

from imgforge.errors import BadToken

__all__ = [
    "HOST",
    "MOST_LOGGED",
    "REQUEST_ID",
    "SINGLETONS",
    "BearerGate",
    "joined_header",
    "only_if_cached",
    "request_id",
]

# uri-host [ ":" port ] (RFC 9110, section 7.2): one authority without user information, possibly empty.
HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-fvV:.]+\])(?::[0-9]*)?\Z")
# Request headers that are not lists (RFC 9110, section 5.3): of two, each parser may choose a different one.
SINGLETONS = frozenset(
    b"authorization content-length content-location content-range content-type date dpr from host if-modified-since "
    b"if-range if-unmodified-since max-forwards origin proxy-authorization range referer sec-ch-dpr sec-ch-width "
    b"user-agent width".split()
)
MOST_LOGGED = 1024  # bytes of a header in the access log
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}\Z")


class BearerGate:
    """Admits requests with the operator's bearer token; with an empty secret, every request."""

    def __init__(self, secret: str) -> None:
        self.expected = f"Bearer {secret}".encode() if secret else b""

    def check(self, authorization: bytes | None) -> None:
        """Raises `BadToken` unless *authorization* is the expected header, compared in constant time."""
        if self.expected and not hmac.compare_digest(authorization or b"", self.expected):
            raise BadToken("the Authorization header does not have this server's bearer token")


def request_id(offered: bytes | None) -> str:
    """The client's X-Request-ID if it is a token of at most 128 characters, else a new id."""
    if offered is not None and REQUEST_ID.match(offered):
        return offered.decode("ascii")
    return f"{getrandbits(128):032x}"  # not a secret: the operating system's random bytes cost the reactor a call


def joined_header(request: Request, name: bytes) -> bytes:
    """The header's value, several joined by commas (RFC 9110, section 5.3); b"" if absent."""
    return b", ".join(request.requestHeaders.getRawHeaders(name, []))


def only_if_cached(request: Request) -> bool:
    """Whether the client takes a cached result only (RFC 9111, section 5.2.1.7): nothing is fetched or made for it."""
    directives = joined_header(request, b"cache-control").lower().split(b",")
    return b"only-if-cached" in [directive.strip() for directive in directives]
