"""The fast lane's hits as the access log is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from imgforge.observability import Access, as_sent

__all__ = ["Hit", "Shown", "hit_access"]


class Shown(NamedTuple):
    """What the access log says of every answer to one target."""

    target: bytes
    cache_status: bytes
    source: str
    format: str


class Hit(NamedTuple):
    """What the access log is told of an answer; small, for a quarter of a second's worth of them waits."""

    at: float
    client: str
    method: str
    shown: Shown
    status: int
    size: int
    seconds: float
    identity: bytes
    headers: Mapping[bytes, bytes]


def hit_access(fields: tuple[Any, ...]) -> Access:
    """One of the lane's hits as the access log wants it."""
    hit = Hit._make(fields)
    return Access(
        at=hit.at,
        client=hit.client,
        method=hit.method,
        target=as_sent(hit.shown.target),
        protocol="HTTP/1.1",
        status=hit.status,
        size=hit.size,
        seconds=hit.seconds,
        request_id=hit.identity.decode("ascii"),
        cache=hit.shown.cache_status.decode("latin-1"),
        referrer=hit.headers.get(b"referer", b"").decode("latin-1"),
        agent=hit.headers.get(b"user-agent", b"").decode("latin-1"),
        source=hit.shown.source,
        format=hit.shown.format,
    )
