"""The headers of a request that the fast lane may answer: which change nothing, which decide, and which are logged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from imgforge.web._access import HOST, MOST_LOGGED
from imgforge.web._network import FORWARDED

__all__ = ["deciding_headers"]

# Headers that change nothing about the answer to a hit.
_PLAIN = frozenset(
    b"accept-charset accept-encoding accept-language cache-control cookie dnt origin pragma priority referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"sec-gpc te traceparent tracestate upgrade-insecure-requests user-agent via "
    b"x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip cdn-loop save-data".split()
)
# Headers that the lane understands; each may come once.
_DECIDING = frozenset({b"accept", b"x-request-id", b"if-none-match", b"authorization"})

# Headers that the access log shows.
_SHOWN = frozenset({b"referer", b"user-agent"})

_MOST_HEADERS = 100


@lru_cache(maxsize=512)
def deciding_headers(lines: bytes) -> Mapping[bytes, bytes] | None:
    """The values of the headers that decide or are logged, by lower-case name; None where one needs the normal way.

    Remembered, for a client sends the same header lines with every target.
    """
    rows = lines.split(b"\r\n")
    # Line breaks and NULs within a header are refused, as are hundreds of headers: by the normal way.
    if len(rows) > _MOST_HEADERS or len(lines.translate(None, b"\0\r\n")) != len(lines) - 2 * (len(rows) - 1):
        return None
    given: dict[bytes, bytes] = {}
    host = False
    for line in rows:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon:
            return None
        if name in _PLAIN:
            if name in _SHOWN:
                given[name] = value.strip(b" \t")[:MOST_LOGGED]
            continue
        value = value.strip(b" \t")
        if name in FORWARDED:
            given[name] = given[name] + b", " + value if name in given else value
        elif name == b"host" and not host and HOST.match(value):
            host = True
        elif name in _DECIDING and name not in given and value:
            given[name] = value
        elif name != b"connection" or value.lower() != b"keep-alive":
            return None
    return given if host else None
