"""Where a request has its record."""

from __future__ import annotations

from twisted.web.server import Request

from imgforge.observability import RequestRecord

__all__ = ["attach_record", "record_of"]

_ATTRIBUTE = "imgforge_record"


def attach_record(request: Request, record: RequestRecord) -> None:
    """Let endpoints find *record* by `record_of`."""
    setattr(request, _ATTRIBUTE, record)


def record_of(request: Request) -> RequestRecord:
    """The record of *request*; one that nobody reads where `Server` has not attached any."""
    record = getattr(request, _ATTRIBUTE, None)
    return record if isinstance(record, RequestRecord) else RequestRecord()
