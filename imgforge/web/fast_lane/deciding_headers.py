"""The request headers that the fast lane knows: which ones change nothing, which decide, and which are logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from imgforge.model import Hints
from imgforge.web.http import (
    FORWARDED,
    HINTS,
    HOST,
    MOST_LOGGED,
    REQUEST_ID,
    SINGLETONS,
    accepted_formats,
    added_by_proxy,
    hints_in,
    names_this_machine,
)

__all__ = ["DecidingHeaders", "ReadHeaders", "read_direct_headers", "read_headers"]

# Headers that change nothing about the response to a hit.
_PLAIN = frozenset(
    b"accept-charset accept-encoding accept-language cache-control cookie dnt origin pragma priority referer "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"sec-gpc te traceparent tracestate upgrade-insecure-requests user-agent via "
    b"x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip cdn-loop save-data".split()
)
# Headers that the fast lane evaluates; each may come once.
_DECIDING = frozenset({b"accept", b"x-request-id", b"if-none-match", b"authorization", *HINTS})

# Headers that the access log has.
_LOGGED = frozenset({b"referer", b"user-agent"})

_MOST_HEADERS = 100


@dataclass(frozen=True, slots=True)
class DecidingHeaders:
    """The headers of a request that decide its response, b"" for an absent one, and those that are logged."""

    formats: int  # the bits of `accepted_formats`
    hints: Hints
    request_id: bytes
    if_none_match: bytes
    authorization: bytes
    forwarded: tuple[bytes, ...]  # the values of the headers in `FORWARDED`
    direct: bool  # no proxy has added a header, and the host is this machine
    logged: Mapping[bytes, bytes]


# A reader of header lines: None where twisted.web must answer.
ReadHeaders = Callable[[bytes], DecidingHeaders | None]


@lru_cache(maxsize=512)
def read_headers(lines: bytes) -> DecidingHeaders | None:
    """Reads the header lines of a whole request; None if they are not complete, or one of them needs twisted.web.

    The result is cached, as a client sends the same header lines with every target.
    """
    pairs = _pairs(lines)
    if pairs is None:
        return None
    values: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    host = b""
    for name, value in pairs:
        if name in seen and name in SINGLETONS:
            return None
        seen.add(name)
        if name in _PLAIN:
            if name == b"cache-control" and b"only-if-cached" in value.lower():  # asks how long the entry is fresh
                return None
            continue
        if name in FORWARDED:
            values[name] = values[name] + b", " + value if name in values else value
        elif name in _DECIDING and name not in values and value:
            values[name] = value
        elif name == b"host" and HOST.match(value):
            host = value
        elif name != b"connection" or value.lower() != b"keep-alive":
            return None
    if b"host" not in seen:
        return None
    request_id = values.get(b"x-request-id", b"")
    return DecidingHeaders(
        formats=accepted_formats(values.get(b"accept", b"").decode("latin-1")),
        hints=hints_in(*(values.get(name, b"") for name in HINTS)),
        request_id=request_id if REQUEST_ID.match(request_id) else b"",
        if_none_match=values.get(b"if-none-match", b""),
        authorization=values.get(b"authorization", b""),
        forwarded=tuple(values.get(name, b"") for name in FORWARDED),
        direct=names_this_machine(host) and not any(map(added_by_proxy, seen)),
        logged={name: value[:MOST_LOGGED] for name, value in pairs if name in _LOGGED},
    )


@lru_cache(maxsize=512)
def read_direct_headers(lines: bytes) -> DecidingHeaders | None:
    """As `read_headers`, but None for a forwarded request, and for a host that is not this machine."""
    headers = read_headers(lines)
    return headers if headers is not None and headers.direct else None


def _pairs(lines: bytes) -> list[tuple[bytes, bytes]] | None:
    """Names in lower case and values; None if the lines are malformed, incomplete or too many."""
    rows = lines.split(b"\r\n")
    # Two empty rows end the split: one after the last header line, one after the empty line.
    if rows[-2:] != [b"", b""]:
        return None
    del rows[-2:]
    # twisted.web rejects line breaks and NULs within a header, and hundreds of headers.
    if len(rows) > _MOST_HEADERS or len(lines.translate(None, b"\0\r\n")) != len(lines) - 2 * (len(rows) + 1):
        return None
    parts = [row.partition(b":") for row in rows]
    if not all(colon for _, colon, _ in parts):
        return None
    return [(name.lower(), value.strip(b" \t")) for name, _, value in parts]
