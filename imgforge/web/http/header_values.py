"""Header values of origins, made safe to pass on."""

from __future__ import annotations

from email.utils import formatdate

from imgforge.model import seconds_of_http_date

__all__ = ["http_date", "printable"]


def printable(text: str) -> bytes:
    """An origin's header value without line breaks and other control characters."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")


def http_date(text: str, earliest: float) -> bytes:
    """The HTTP date *text* written anew, or *earliest* if that is later; empty if *text* is not a date."""
    moment = seconds_of_http_date(text)
    return b"" if moment is None else formatdate(max(moment, earliest), usegmt=True).encode("ascii")
