"""The fast lane's hits, as the access log receives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from imgforge.observability import Access, as_sent

__all__ = ["Hit", "LoggedTarget", "TargetHits", "hit_access"]


class LoggedTarget(NamedTuple):
    """The fields of an access log line that all hits of one target share."""

    target: bytes
    cache_status: bytes
    source: str
    format: str


class Hit(NamedTuple):
    """A hit for the access log; small, as those of a quarter of a second wait together."""

    at: float  # seconds since the epoch
    client: str
    method: str
    target: LoggedTarget
    status: int
    size: int  # bytes of the body
    seconds: float
    request_id: bytes
    headers: Mapping[bytes, bytes]


class TargetHits(NamedTuple):
    """How often the fast lane has answered a target, for tables of what is asked for most."""

    target: bytes
    source: str
    format: str
    hits: int
    size: int  # bytes of the bodies together
    sampled: bool  # whether the hits are estimated from one of sixteen


def hit_access(fields: tuple[Any, ...]) -> Access:
    """The access log's line for the *fields* of a `Hit`."""
    hit = Hit._make(fields)
    return Access(
        at=hit.at,
        client=hit.client,
        method=hit.method,
        target=as_sent(hit.target.target),
        protocol="HTTP/1.1",
        status=hit.status,
        size=hit.size,
        seconds=hit.seconds,
        request_id=hit.request_id.decode("ascii"),
        cache=hit.target.cache_status.decode("latin-1"),
        referrer=hit.headers.get(b"referer", b"").decode("latin-1"),
        agent=hit.headers.get(b"user-agent", b"").decode("latin-1"),
        source=hit.target.source,
        format=hit.target.format,
    )
