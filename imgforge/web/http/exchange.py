"""A request under way, and its line in the access log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from imgforge.observability import Access, RequestRecord, as_sent
from imgforge.web.http.request_headers import MOST_LOGGED

__all__ = ["Exchange", "access_of"]


@dataclass(eq=False, slots=True)
class Exchange:
    """A request under way: what is needed to account for it at the end."""

    request: Request
    label: str
    record: RequestRecord
    client: str
    began: float
    status: int = 0
    size: int = 0
    gone: bool = False

    def client_left(self, _: Failure, answering: Deferred[Any]) -> None:
        """Give *answering* up."""
        self.gone = True
        answering.cancel()


def access_of(exchange: Exchange, now: float, seconds: float) -> Access:
    """The line of the access log for *exchange*, which ended *now* after so many *seconds*."""
    request, record = exchange.request, exchange.record

    def header(name: bytes) -> str:
        return (request.getHeader(name) or b"")[:MOST_LOGGED].decode("latin-1")

    cache = request.responseHeaders.getRawHeaders(b"cache-status") or [b""]
    return Access(
        at=now,
        client=exchange.client,
        method=request.method.decode("latin-1"),
        target=as_sent(request.uri),
        protocol=request.clientproto.decode("latin-1"),
        status=exchange.status,
        size=exchange.size,
        seconds=seconds,
        request_id=record.identity,
        cache=cache[0].decode("latin-1"),
        referrer=header(b"referer"),
        agent=header(b"user-agent"),
        level=record.level,
        source=record.source,
        format=record.format,
        error=record.error,
        fallback=record.fallback,
        bytes_in=record.work.bytes_in,
        timings=record.work.timings(),
    )
