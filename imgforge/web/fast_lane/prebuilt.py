"""A response of the fast lane, prebuilt up to the headers that differ each time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgforge.interfaces import VisitMark
from imgforge.web.fast_lane.hits import LoggedTarget
from imgforge.web.http import Offer

__all__ = ["Prebuilt", "RawHeaders", "prebuild"]

RawHeaders = Iterable[tuple[bytes, Sequence[bytes]]]

# Bytes of a prebuilt response in the fast lane's tables beside its strings: objects, slots of dicts and of lists.
_OVERHEAD = 400

# Written anew for each response.
_NEW_EACH_TIME = frozenset({b"date", b"age", b"x-request-id", b"connection"})


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """The heads of the 200 and the 304 without their last lines, the body, and the mark of the entry in the tier."""

    key: bytes
    visit_mark: VisitMark
    until: float  # seconds since the epoch, as is `aging_since`
    aging_since: float
    head: bytes
    body: bytes
    not_modified: bytes
    etag: bytes
    target: LoggedTarget
    method: str = "GET"

    @property
    def cost(self) -> int:
        """Bytes of memory that the fast lane takes for it, beside the entry; the target is in its request line too."""
        target, cache_status, source, _ = self.target
        strings = self.key, self.head, self.not_modified, self.etag, target, target, cache_status, source
        return sum(map(sys.getsizeof, strings)) + _OVERHEAD

    def response(self, if_none_match: bytes) -> tuple[int, bytes, bytes] | None:
        """Status, head and body for a request with that If-None-Match, b"" for none; None if twisted.web must tell."""
        if not if_none_match:
            return 200, self.head, self.body
        if self.etag and if_none_match in {self.etag, b"W/" + self.etag}:
            return 304, self.not_modified, b""
        return None


def prebuild(offer: Offer, visit_mark: VisitMark, target: bytes, headers: RawHeaders, body: bytes) -> Prebuilt:
    """The response to GET *target*, from the *headers* that twisted.web wrote."""
    ok, not_modified = [b"HTTP/1.1 200 OK\r\n"], [b"HTTP/1.1 304 Not Modified\r\n"]
    etag = cache_status = b""
    for name, values in headers:
        lower = name.lower()
        if lower in _NEW_EACH_TIME:
            continue
        lines = [name + b": " + value + b"\r\n" for value in values]
        ok += lines
        if not lower.startswith(b"content-"):
            not_modified += lines
        if lower == b"etag":
            etag = values[0]
        elif lower == b"cache-status":
            cache_status = values[0]
    return Prebuilt(
        offer.key,
        visit_mark,
        offer.until,
        offer.aging_since,
        b"".join(ok),
        body,
        b"".join(not_modified),
        etag,
        LoggedTarget(target, cache_status, offer.source, offer.format),
    )
