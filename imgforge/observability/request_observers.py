"""Who is told of each request: traces, reports of errors, tables and further metrics are views of its record."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import Interface

from imgforge.observability.request_record import RequestRecord

__all__ = ["IRequestObserver"]


class IRequestObserver(Interface):
    """Is told of each request that twisted.web sees; hits of the fast lane are only counted.

    Both methods run on the reactor, before or after the work for a client: they note, and do not wait. What they raise
    is logged, and the client gets its answer all the same.
    """

    def begun(record: RequestRecord, header: Callable[[bytes], bytes]) -> None:
        """A request has arrived; *header* gives one of its headers by name, b"" where it is missing."""

    def ended(record: RequestRecord) -> None:
        """Its answer is complete, or its client is gone: *record* does not change any more."""
