"""A request in flight: its record, and its line in the access log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from imgforge.observability import Access, RequestRecord, as_sent
from imgforge.web.http.request_headers import MOST_LOGGED

__all__ = ["Exchange", "access_of", "attach_record", "record_of"]

_ATTRIBUTE = "imgforge_record"


def attach_record(request: Request, record: RequestRecord) -> None:
    """Lets endpoints find *record* by `record_of`."""
    setattr(request, _ATTRIBUTE, record)


def record_of(request: Request) -> RequestRecord:
    """The record of *request*; an unused one if `Server` has attached none."""
    record = getattr(request, _ATTRIBUTE, None)
    return record if isinstance(record, RequestRecord) else RequestRecord()


@dataclass(eq=False, slots=True)
class Exchange:
    """A request in flight, with all that its metrics and log line need at the end."""

    request: Request
    label: str  # the name of the route in the metrics
    record: RequestRecord
    client: str  # address
    began: float  # seconds since the epoch
    status: int = 0
    size: int = 0  # bytes of the body that were sent
    client_gone: bool = False

    def client_left(self, _: Failure, answering: Deferred[Any]) -> None:
        """Cancels *answering*."""
        self.client_gone = True
        answering.cancel()


def access_of(exchange: Exchange, now: float, seconds: float) -> Access:
    """The line of the access log for *exchange*, which ended *now* after *seconds*."""
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
