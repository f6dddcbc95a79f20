"""Request headers and cookies of a client that are passed on to the origin.

An image that was made with them belongs to that client: they are part of its cache key, its original is not cached, and
Vary names them. Only values that are printable ASCII throughout are passed on.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from twisted.web.server import Request

from imgforge.web.http.request_headers import HOST, joined_header

__all__ = ["Passthrough"]

_PLAIN = re.compile(rb"[\t\x20-\x7e]+")
_COOKIE = re.compile(
    rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+=(?:\"[\x20\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*\"|[\x20\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]*)"
)


@dataclass(frozen=True, slots=True)
class Passthrough:
    """The operator's choice."""

    headers: tuple[str, ...] = ()  # names of request headers, in lower case
    cookies: bool = False  # whether cookies are passed on
    any_origin: bool = False  # to every origin; else only to the host that the cookies belong to
    cookie_base: str = ""  # the URL that they belong to; empty: the host that the client asked

    def __bool__(self) -> bool:
        return self.cookies or bool(self.headers)

    def of(self, request: Request, source: str) -> tuple[tuple[tuple[str, str], ...], tuple[bytes, ...]]:
        """The headers of *request* to send to the origin of *source*, and the names for Vary, whether sent or not."""
        if not self or not source[:8].lower().startswith(("http://", "https://")):
            return (), ()
        candidates = [(name, joined_header(request, name.encode("ascii"))) for name in self.headers]
        if self.cookies and self._reaches(request, source):
            candidates.append(("cookie", _cookies(request)))
        sent = tuple((name, value.decode("ascii")) for name, value in candidates if _PLAIN.fullmatch(value))
        return sent, tuple(name.title().encode("ascii") for name, _ in candidates)

    def _reaches(self, request: Request, source: str) -> bool:
        """Whether a browser would send the client's cookies to the origin of *source*.

        Neither port nor scheme matter, as in imgproxy and RFC 6265.
        """
        if self.any_origin:
            return True
        asked = joined_header(request, b"x-forwarded-host") or joined_header(request, b"host")
        if not self.cookie_base and not HOST.match(asked):
            return False
        try:
            base, origin = urlsplit(self.cookie_base or f"//{asked.decode('ascii')}"), urlsplit(source)
            host, other = (parts.hostname or "" for parts in (base, origin))
        except ValueError:
            return False
        return bool(host) and host.rstrip(".") == other.rstrip(".") and _within(origin.path, base.path)


def _within(path: str, base: str) -> bool:
    """Whether *path* is below the directory of *base* (RFC 6265, section 5.1.4), after normalisation."""
    directory = base.rpartition("/")[0]
    path = posixpath.normpath(unquote(path))
    return not directory or path == directory or path.startswith(f"{directory}/")


def _cookies(request: Request) -> bytes:
    """The well-formed cookies of *request*; the last one of each name."""
    pairs = (
        pair.strip(b" \t")
        for header in request.requestHeaders.getRawHeaders(b"cookie", [])
        for pair in header.split(b";")
    )
    named = {pair.partition(b"=")[0]: pair for pair in pairs if _COOKIE.fullmatch(pair)}
    return b"; ".join(named.values())
