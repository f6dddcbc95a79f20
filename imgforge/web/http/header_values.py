"""Header values of origins, made safe to pass on."""

from __future__ import annotations

import math
from email.utils import formatdate, parsedate_to_datetime

__all__ = ["http_date", "moment_of", "printable"]


def printable(text: str) -> bytes:
    """An origin's header value without line breaks and other control characters."""
    return "".join(char for char in text if char.isprintable()).encode("latin-1", "replace")


def http_date(text: str, earliest: float) -> bytes:
    """The HTTP date *text* written anew, or *earliest* if that is later; empty if *text* is not a date."""
    moment = moment_of(text, math.nan)
    return b"" if math.isnan(moment) else formatdate(max(moment, earliest), usegmt=True).encode("ascii")


def moment_of(text: str, otherwise: float) -> float:
    """The HTTP date *text* in seconds since the epoch; *otherwise* if it is not a date."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else otherwise
    except (ValueError, TypeError, OverflowError):
        return otherwise
