"""The start of a period: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["parse_since"]

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_since(text: str, now: float) -> float:
    """The time, in seconds since the epoch, that *text* names: 90m, 2h, 3d or an ISO date or time, in UTC by itself.

    *now* is the present time. Raises `ValueError`.
    """
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return now - float(duration[1]) * _SECONDS[duration[2]]
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither a duration such as 2h or 3d nor a date such as 2026-11-28") from None
