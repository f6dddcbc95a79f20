"""The headers of a request that the fast lane may answer: which change nothing, which decide, and which are logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from imgforge.model import Hints
from imgforge.web.http.client_hints import HINTS, hints_in
from imgforge.web.http.forwarded import FORWARDED, names_this_machine, tells_of_a_proxy
from imgforge.web.http.negotiation import accepted_formats
from imgforge.web.http.request_headers import HOST, MOST_LOGGED, REQUEST_ID, SINGLETONS

__all__ = ["Given", "read_direct_headers", "read_headers"]

# Headers that change nothing about the answer to a hit.
_PLAIN = frozenset(
    b"accept-charset accept-encoding accept-language cache-control cookie dnt origin pragma priority referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"sec-gpc te traceparent tracestate upgrade-insecure-requests user-agent via "
    b"x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip cdn-loop save-data".split()
)
# Headers that the lane understands; each may come once.
_DECIDING = frozenset({b"accept", b"x-request-id", b"if-none-match", b"authorization", *HINTS})

# Headers that the access log shows.
_SHOWN = frozenset({b"referer", b"user-agent"})

_MOST_HEADERS = 100


@dataclass(frozen=True, slots=True)
class Given:
    """What a request's headers say that decides, b"" where they say nothing, and those of them that are logged.

    `formats` are what `accepted_formats` finds; `forwarded` has what the proxies say, one text for each of `FORWARDED`;
    `direct` is for a request that no proxy has touched, and that names this machine as its host.
    """

    formats: int
    hints: Hints
    identity: bytes
    none_match: bytes
    token: bytes
    forwarded: tuple[bytes, ...]
    direct: bool
    shown: Mapping[bytes, bytes]


@lru_cache(maxsize=512)
def read_headers(lines: bytes) -> Given | None:
    """What the header lines of a whole request say; None where one needs the normal way, or they are not all there.

    Remembered, for a client sends the same header lines with every target.
    """
    pairs = _pairs(lines)
    if pairs is None:
        return None
    given: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    host = b""
    for name, value in pairs:
        if name in seen and name in SINGLETONS:
            return None
        seen.add(name)
        if name in _PLAIN:
            continue
        if name in FORWARDED:
            given[name] = given[name] + b", " + value if name in given else value
        elif name in _DECIDING and name not in given and value:
            given[name] = value
        elif name == b"host" and HOST.match(value):
            host = value
        elif name != b"connection" or value.lower() != b"keep-alive":
            return None
    if b"host" not in seen:
        return None
    identity = given.get(b"x-request-id", b"")
    return Given(
        formats=accepted_formats(given.get(b"accept", b"").decode("latin-1")),
        hints=hints_in(*(given.get(name, b"") for name in HINTS)),
        identity=identity if REQUEST_ID.match(identity) else b"",
        none_match=given.get(b"if-none-match", b""),
        token=given.get(b"authorization", b""),
        forwarded=tuple(given.get(name, b"") for name in FORWARDED),
        direct=names_this_machine(host) and not any(map(tells_of_a_proxy, seen)),
        shown={name: value[:MOST_LOGGED] for name, value in pairs if name in _SHOWN},
    )


@lru_cache(maxsize=512)
def read_direct_headers(lines: bytes) -> Given | None:
    """The same, but None for what a proxy has forwarded, and for another host's name."""
    given = read_headers(lines)
    return given if given is not None and given.direct else None


def _pairs(lines: bytes) -> list[tuple[bytes, bytes]] | None:
    """Names in lower case and values; None where they are no header lines, or not all of them, or hundreds."""
    rows = lines.split(b"\r\n")
    # Of the empty ones at the end there are two: one for the end of the last line, one for the empty line's.
    if rows[-2:] != [b"", b""]:
        return None
    del rows[-2:]
    # Line breaks and NULs within a header are refused, as are hundreds of headers: by the normal way.
    if len(rows) > _MOST_HEADERS or len(lines.translate(None, b"\0\r\n")) != len(lines) - 2 * (len(rows) + 1):
        return None
    cut = [row.partition(b":") for row in rows]
    if not all(colon for _, colon, _ in cut):
        return None
    return [(name.lower(), value.strip(b" \t")) for name, _, value in cut]
