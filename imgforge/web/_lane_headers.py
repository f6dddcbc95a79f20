"""The headers of a request that the fast lane may answer: which change nothing, which decide, and which are logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from imgforge.web._access import HOST, MOST_LOGGED, REQUEST_ID
from imgforge.web._network import FORWARDED

__all__ = ["Given", "read_headers"]

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


@dataclass(frozen=True, slots=True)
class Given:
    """What a request's headers say that decides, b"" where they say nothing, and those of them that are logged.

    `forwarded` has what the proxies say, one text for each of `FORWARDED`.
    """

    accept: bytes
    identity: bytes
    none_match: bytes
    token: bytes
    forwarded: tuple[bytes, ...]
    shown: Mapping[bytes, bytes]


@lru_cache(maxsize=512)
def read_headers(lines: bytes) -> Given | None:
    """What the header lines of a whole request say; None where one needs the normal way, or they are not all there.

    Remembered, for a client sends the same header lines with every target.
    """
    rows = lines.split(b"\r\n")
    # Of the empty ones at the end there are two: one for the end of the last line, one for the empty line's.
    if rows[-2:] != [b"", b""]:
        return None
    del rows[-2:]
    # Line breaks and NULs within a header are refused, as are hundreds of headers: by the normal way.
    if len(rows) > _MOST_HEADERS or len(lines.translate(None, b"\0\r\n")) != len(lines) - 2 * (len(rows) + 1):
        return None
    given: dict[bytes, bytes] = {}
    shown: dict[bytes, bytes] = {}
    host = False
    for line in rows:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon:
            return None
        if name in _PLAIN:
            if name in _SHOWN:
                shown[name] = value.strip(b" \t")[:MOST_LOGGED]
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
    if not host:
        return None
    identity = given.get(b"x-request-id", b"")
    return Given(
        accept=given.get(b"accept", b""),
        identity=identity if REQUEST_ID.match(identity) else b"",
        none_match=given.get(b"if-none-match", b""),
        token=given.get(b"authorization", b""),
        forwarded=tuple(given.get(name, b"") for name in FORWARDED),
        shown=shown,
    )
