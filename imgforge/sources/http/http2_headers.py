"""The header fields of HTTP/2: those of a request, and the head of a response (RFC 9113, section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hpack import NeverIndexedHeaderTuple
from twisted.web.http_headers import Headers

__all__ = ["LARGEST_HEAD", "ResponseHead", "read_head", "request_fields", "size_of_fields"]

LARGEST_HEAD = 64 * 1024  # bytes, as SETTINGS_MAX_HEADER_LIST_SIZE counts them

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_UNSAFE_VALUE = re.compile(rb"[\0\r\n]")
_UNSAFE_TARGET = re.compile(rb"[\0-\x20\x7f]")
_STATUS = re.compile(rb"[2-5][0-9][0-9]")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONNECTION_SPECIFIC = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
_WITHOUT_BODY = frozenset({204, 304})
# What every request repeats. The rest would push these out of the table, and may be a credential.
_INDEXED = frozenset({b"user-agent", b"accept", b"accept-encoding"})


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response."""

    status: int
    headers: Headers
    length: int | None  # of the body, where it is known
    bodiless: bool  # whether a response with this status has no body, whatever its Content-Length


def request_fields(
    method: bytes, authority: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """The fields of a request; `ValueError` for bytes that a gateway to HTTP/1.1 could take for another request."""
    if not target.startswith(b"/") or _UNSAFE_TARGET.search(target) or _UNSAFE_TARGET.search(authority):
        raise ValueError("a target or an authority that no request can have")
    fields = [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", authority),
        NeverIndexedHeaderTuple(b":path", target),
    ]
    for spelt, padded in headers:
        name, value = spelt.lower(), padded.strip(b" \t")
        if not _NAME.fullmatch(name) or _UNSAFE_VALUE.search(value):
            raise ValueError("a header that no request can have")
        if name in _CONNECTION_SPECIFIC or name == b"host":
            continue
        fields.append((name, value) if name in _INDEXED else NeverIndexedHeaderTuple(name, value))
    return fields


def size_of_fields(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes of *fields*, with 32 for each (RFC 9113, section 10.5.1)."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def read_head(fields: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    """The head that *fields* are; `ValueError` where they are none."""
    if not fields or fields[0][0] != b":status" or not _STATUS.fullmatch(fields[0][1]):
        raise ValueError("a head without a status")
    status = int(fields[0][1])
    headers = Headers()
    length: int | None = None
    for name, value in fields[1:]:
        if not _NAME.fullmatch(name) or _UNSAFE_VALUE.search(value):
            raise ValueError("a malformed header")
        if name in _CONNECTION_SPECIFIC:
            raise ValueError("a header of HTTP/1.1")
        if name == b"content-length":
            if length is not None or not _LENGTH.fullmatch(value):
                raise ValueError("an impossible Content-Length")
            length = int(value)
        headers.addRawHeader(name, value.strip(b" \t"))
    bodiless = status in _WITHOUT_BODY
    return ResponseHead(status, headers, 0 if bodiless else length, bodiless)
