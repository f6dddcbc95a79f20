"""Who is told of each request: traces, reports of errors, tables and further metrics are views of its record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger
from zope.interface import Interface

from imgforge.observability.request_record import RequestRecord

__all__ = ["IRequestObserver", "tell_begun", "tell_ended"]

_LOG = Logger()


class IRequestObserver(Interface):
    """Is told of each request that twisted.web sees, and of each job of a queue.

    Hits of the fast lane are only counted.

    Both methods run on the reactor, before or after the work for a client: they note, and do not wait. What they raise
    is logged, and the client gets its answer all the same.
    """

    def begun(record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """A request has arrived; *header* gives one of its headers by name, b"" where it is missing."""

    def ended(record: RequestRecord) -> None:
        """Its answer is complete, or its client is gone: *record* does not change any more."""


def tell_begun(
    observers: Iterable[IRequestObserver],
    record: RequestRecord,
    header: Callable[[bytes], bytes] = lambda _: b"",
) -> None:
    """Call `begun` of each of *observers*; a job has no headers."""
    for observer in observers:
        _tell(observer.begun, record, header)


def tell_ended(observers: Iterable[IRequestObserver], record: RequestRecord) -> None:
    """Call `ended` of each of *observers*."""
    for observer in observers:
        _tell(observer.ended, record)


def _tell(observe: Callable[..., None], *arguments: Any) -> None:
    """Call *observe*; its fault is no fault of the request."""
    try:
        observe(*arguments)
    except Exception:
        _LOG.failure("telemetry failed for a request, which is answered all the same")
