"""Dates of HTTP headers (RFC 9110, section 5.6.7), whatever clients and origins write for one."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["seconds_of_http_date"]


def seconds_of_http_date(text: str) -> float | None:
    """The seconds since the epoch of the date *text*; None if it is not one of the years 1 to 9999.

    Of the three formats only that of asctime(), without a comma, has no time zone: its dates are in UTC.
    """
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            if "," in text:
                return None
            date = date.replace(tzinfo=UTC)
        return date.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):  # OverflowError: for a number with many digits, or a zone that leads out
        return None
