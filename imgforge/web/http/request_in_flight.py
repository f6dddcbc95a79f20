"""A request in flight: its record, and its line in the access log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from imgforge.observability import Access, RequestRecord, as_sent
from imgforge.web.http.request_headers import MOST_LOGGED

__all__ = ["RequestInFlight", "access_of", "attach_record", "record_of"]

_ATTRIBUTE = "imgforge_record"


def attach_record(request: Request, record: RequestRecord) -> None:
    """Lets endpoints find *record* by `record_of`."""
    setattr(request, _ATTRIBUTE, record)


def record_of(request: Request) -> RequestRecord:
    """The record of *request*; an unused one if `Server` has attached none."""
    record = getattr(request, _ATTRIBUTE, None)
    return record if isinstance(record, RequestRecord) else RequestRecord()


@dataclass(eq=False, slots=True)
class RequestInFlight:
    """A request in flight."""

    request: Request
    record: RequestRecord
    client_gone: bool = False

    def client_left(self, _: Failure, answering: Deferred[Any]) -> None:
        """Cancels *answering*."""
        self.client_gone = True
        answering.cancel()

    def complete(self) -> None:
        """Notes in the record what only logs and telemetry show."""
        request, record = self.request, self.record
        record.cache = (request.responseHeaders.getRawHeaders(b"cache-status") or [b""])[0].decode("latin-1")
        record.referrer, record.agent = self._logged(b"referer"), self._logged(b"user-agent")

    def _logged(self, name: bytes) -> str:
        return (self.request.getHeader(name) or b"")[:MOST_LOGGED].decode("latin-1")


def access_of(exchange: RequestInFlight) -> Access:
    """The line of the access log for *exchange*, which is complete."""
    record = exchange.record
    return Access(
        at=record.ended,
        client=record.client,
        method=record.method,
        target=as_sent(record.target),
        protocol=exchange.request.clientproto.decode("latin-1"),
        status=record.status,
        size=record.size,
        seconds=record.duration,
        request_id=record.identity,
        cache=record.cache,
        referrer=record.referrer,
        agent=record.agent,
        level=record.level,
        source=record.source,
        format=record.format,
        error=record.error,
        fallback=record.fallback,
        bytes_in=record.work.bytes_in,
        timings=record.work.timings(),
    )
