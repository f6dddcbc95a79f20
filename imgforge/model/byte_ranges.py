"""Byte ranges (RFC 9110, section 14): the part of a body that a Range header requests."""

from __future__ import annotations

import re

__all__ = ["Unsatisfiable", "byte_range"]

# first-last, first- or -suffix; the length of the numbers is bounded for int()'s sake.
_RANGE = re.compile(r"([0-9]{0,1000})-([0-9]{0,1000})\Z")


class Unsatisfiable(Exception):
    """The range is well-formed, but no byte of the body is in it: status 416."""


def byte_range(header: str, length: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the part of a body of *length* bytes that a Range *header*'s value requests.

    None where the whole body is the answer: no header, another unit, a malformed range or several ranges, all of which
    a server may ignore. Raises `Unsatisfiable` where no byte of the body is in the range.
    """
    unit, _, ranges = header.partition("=")
    if unit.strip(" \t").lower() != "bytes":
        return None
    parts = [part for part in (part.strip(" \t") for part in ranges.split(",")) if part]
    match = _RANGE.match(parts[0]) if len(parts) == 1 else None
    if match is None or parts[0] == "-":
        return None
    if not match[1]:
        start, end = max(0, length - int(match[2])), length
    elif match[2] and int(match[2]) < int(match[1]):
        return None
    else:
        start, end = int(match[1]), min(length, int(match[2]) + 1) if match[2] else length
    if start >= end:
        raise Unsatisfiable
    return start, end
