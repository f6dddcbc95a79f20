"""What of a client's request its origin gets to see: cookies that are the origin's too, and headers by name.

An image that was made with them is that client's: its cache entry has them in its key, its original is not kept, and
the answer says in Vary what it depends on. Nothing is passed on but whole values of plain ASCII.
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
    """The operator's choice: names of request headers in lower case; and whether `cookies` are passed on.

    They are taken to be those of `cookie_base`, a URL, or of the host that the client asks, and go to that host only
    unless to `any_origin`.
    """

    headers: tuple[str, ...] = ()
    cookies: bool = False
    any_origin: bool = False
    cookie_base: str = ""

    def __bool__(self) -> bool:
        return self.cookies or bool(self.headers)

    def of(self, request: Request, source: str) -> tuple[tuple[tuple[str, str], ...], tuple[bytes, ...]]:
        """The headers of *request* that the origin of *source* is sent, and the names of all that it may be."""
        if not self or not source[:8].lower().startswith(("http://", "https://")):
            return (), ()
        given = [(name, joined_header(request, name.encode("ascii"))) for name in self.headers]
        if self.cookies and self._reaches(request, source):
            given.append(("cookie", _cookies(request)))
        passed = tuple((name, value.decode("ascii")) for name, value in given if _PLAIN.fullmatch(value))
        return passed, tuple(name.title().encode("ascii") for name, _ in given)

    def _reaches(self, request: Request, source: str) -> bool:
        """Whether the origin of *source* would get the client's cookies from the client itself.

        As in imgproxy, and RFC 6265 has it so, neither port nor scheme matter.
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
    """Whether *path* lies in the directory of *base* (RFC 6265, section 5.1.4), however it is written."""
    directory = base.rpartition("/")[0]
    path = posixpath.normpath(unquote(path))
    return not directory or path == directory or path.startswith(f"{directory}/")


def _cookies(request: Request) -> bytes:
    """The well-formed cookies of *request*; of equal names the last one counts."""
    pairs = (
        pair.strip(b" \t")
        for header in request.requestHeaders.getRawHeaders(b"cookie", [])
        for pair in header.split(b";")
    )
    named = {pair.partition(b"=")[0]: pair for pair in pairs if _COOKIE.fullmatch(pair)}
    return b"; ".join(named.values())
